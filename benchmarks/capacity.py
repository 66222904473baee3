"""The tables of `docs/capacity.md`, and some of `docs/benchmarks.md`, from measured figures: `scripts/bench capacity`.

    scripts/bench ingestion > /tmp/ingestion.json           (and fleet, drain, queries the same way)
    scripts/bench capacity --take /tmp/ingestion.json …     keeps the figures in docs/capacity-figures.json and
                                                            rewrites the tables; the text around them is a person's

Without arguments it rewrites the tables from the figures that are kept, and says whether anything changed. The
assumptions are in `_capacity_model.py` and are told on the page.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import _figure_tables
from benchmarks._capacity_model import BATCH_EVENTS, BUSY, MIX, PEAK, SECONDS_A_DAY, Costs, box, needed
from benchmarks._figure_tables import Figures, table

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES, FIGURES = (DOCS / "capacity.md", DOCS / "benchmarks.md"), DOCS / "capacity-figures.json"
TAKEN = ("ingestion", "fleet", "drain", "queries")
BLOCK = re.compile(r"(<!-- made by `scripts/bench capacity`: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
CUSTOMERS = (1_000, 10_000, 100_000, 1_000_000)
RETENTIONS = (7, 90, 365)


def size(count: float) -> str:
    """Bytes, for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def many(count: float) -> str:
    """A count to three digits."""
    for factor, unit in ((1e9, " G"), (1e6, " M")):
        if count >= factor:
            return f"{count / factor:,.3g}{unit}"
    return f"{count:,.0f}" if count >= 10 else f"{count:.1f}"


def events_per_request(figures: Figures) -> float:
    """As the fleet's laptops sent them."""
    return float(figures["fleet"]["events_per_request"])


def assumed(figures: Figures) -> str:
    """The assumptions, and where the figures are from."""
    machine = figures["ingestion"]["machine"]
    rows = [[tier.name, f"{tier.share:.0%}", f"{tier.events_per_day:,}", tier.retention_days] for tier in MIX]
    said = (
        f"\nThe busiest hour has {PEAK:.0f} times the day's mean. At that hour processors are {BUSY:.0%} busy. Messages"
        f" are of about 600 bytes. A request holds {events_per_request(figures):.0f} events, as those of the"
        f" {figures['fleet']['clients']} laptops of `scripts/bench fleet` did: a batch waits a second for company.\n"
        f"\nMeasured on {machine['cpus']} cores, {machine['memory_gib']} GiB, Python {machine['python']}, PostgreSQL"
        f" {figures['ingestion']['production']['postgresql'].split()[0]}, with a load average of"
        f" {machine['load_of_the_last_minute']} (above {machine['cpus']}, others were at work too).\n"
    )
    return table(["tier", "of the customers", "events a day, each", "days kept"], rows) + said


def stages(figures: Figures) -> str:
    """CPU of each stage, accepting and draining apart."""
    found = figures["ingestion"]["production"]
    accept, drain = (found[name]["cpu_us_per_event"] for name in ("accept", "drain"))
    inside = found["drain_stages"]
    rows = [
        ["web: accept (authenticate, inflate, decode, judge, commit)", accept["web"]],
        ["PostgreSQL: the inbox row", accept["postgresql"]],
        ["worker: drain", drain["worker"]],
        *([f"… {name}", inside[f"{name}_us_per_event"]] for name in _inner(inside)),
        ["PostgreSQL: events, sessions, rollups, the inbox row deleted", drain["postgresql"]],
        ["Redis", round(accept["redis"] + drain["redis"], 1)],
    ]
    return table(["stage", f"CPU µs an event, batches of {BATCH_EVENTS}"], rows)


def _inner(inside: Figures) -> list[str]:
    names = [name.removesuffix("_us_per_event") for name in inside if name.endswith("_us_per_event")]
    return sorted(names, key=lambda name: -inside[f"{name}_us_per_event"])


def one_box(figures: Figures) -> str:
    """What the measured machine holds."""
    cpus, costs = figures["ingestion"]["machine"]["cpus"], Costs.of(figures["ingestion"])
    rows = []
    for count in (1.0, events_per_request(figures), float(BATCH_EVENTS)):
        most, peak, customers = box(cpus, costs, count)
        micros = sum(costs.at(count).values())
        rows.append([f"{count:.0f}", f"{micros:,.0f}", many(most), many(peak), many(customers)])
    head = ["events in a request", "CPU µs an event", "events/s, both cores full", f"at {BUSY:.0%}", "customers"]
    return table(head, rows)


def customers(figures: Figures) -> str:
    """What so many customers need."""
    costs = Costs.of(figures["ingestion"])
    needs = [needed(count, costs, events_per_request(figures)) for count in CUSTOMERS]
    lines: list[tuple[str, Callable[[Any], object]]] = [
        ("events a day", lambda need: many(need.events_per_day)),
        ("events/s, mean", lambda need: many(need.mean_per_s)),
        ("events/s, peak", lambda need: many(need.peak_per_s)),
        ("web processes (`KM_WEB_PROCESSES`)", lambda need: need.web_processes),
        ("ingest workers (`KM_INGEST_WORKERS`)", lambda need: need.ingest_workers),
        ("cores of PostgreSQL", lambda need: f"{need.postgresql_cores:.1f}"),
        ("cores in all", lambda need: f"{need.cores:.1f}"),
        ("bodies at the peak, Mbit/s", lambda need: f"{need.body_mbit_per_s:.2g}"),
        ("events kept", lambda need: many(need.kept_events)),
        ("disk for them", lambda need: size(need.disk_bytes)),
        ("WAL a day", lambda need: size(need.wal_bytes_per_day)),
    ]
    return table(["customers", *(f"{count:,}" for count in CUSTOMERS)], [[n, *map(f, needs)] for n, f in lines])


def retention(figures: Figures) -> str:
    """Disk of one million events a day."""
    found, million = figures["ingestion"]["production"]["disk"], 1_000_000
    parts = ("table", "indexes", "toast_and_maps", "sessions_and_rollups")
    shares = ", ".join(f"{part.replace('_', ' ')} {found[f'{part}_bytes_per_event']:.0f}" for part in parts)
    rows = [
        [days, many(million * (days + 1)), size(million * (days + 1) * found["bytes_per_event"])] for days in RETENTIONS
    ]
    said = f"\nAn event takes {found['bytes_per_event']:.0f} bytes on disk: {shares}.\n"
    return table(["days kept", "events", "disk"], rows) + said


def saturation(figures: Figures) -> str:
    """What one process, or one core, of each part does at most, and what it takes then."""
    costs, found = Costs.of(figures["ingestion"]), figures["ingestion"]["production"]
    here, batch = costs.at(events_per_request(figures)), costs.at(BATCH_EVENTS)
    wal = found["accept"]["wal_bytes_per_event"] + found["drain"]["wal_bytes_per_event"]
    steps = {
        "web": ("one process", "`KM_WEB_PROCESSES` up to the cores, then more machines behind the proxy"),
        "worker": ("one process", "`KM_INGEST_WORKERS`: several drain at once"),
        "postgresql": ("one core", "a machine of its own with more cores; then Citus, then another store"),
        "redis": ("the one thread", "nothing: it counts quotas and wakes workers"),
    }
    rows = [[part, *steps[part][:1], many(1e6 / here[part]), many(1e6 / batch[part]), steps[part][1]] for part in steps]
    rows.append(["WAL", "a disk that writes 100 MB/s", *[many(100e6 / wal)] * 2, "a faster disk; `wal_compression`"])
    disk = 1e12 / costs.disk_bytes / (MIX[-1].retention_days + 1) / SECONDS_A_DAY
    rows.append(["disk", "1 TB, a year kept", *[many(disk)] * 2, "shorter retention; Citus or ClickHouse"])
    head = ["part", "of which", f"events/s in requests of {events_per_request(figures):.0f}", "of 100", "the next step"]
    return table(head, rows)


def growth(figures: Figures) -> str:
    """The same with ten times the events and customers."""
    found = figures["ingestion"]["production"]
    grown = found["grown"]
    asked = {
        "acknowledged alone, events/s": ("accept", "acked_events_per_s"),
        "… slowest hundredth, ms": ("accept", "request_p99_ms"),
        "drained alone, events/s": ("drain", "drained_events_per_s"),
        "accepted and drained at once, events/s": ("sustained", "acked_and_drained_events_per_s"),
        "WAL, bytes an event, accepting": ("accept", "wal_bytes_per_event"),
        "… draining": ("drain", "wal_bytes_per_event"),
    }
    rows: list[list[object]] = [[name, found[a][b], grown[a][b]] for name, (a, b) in asked.items()]
    for part in ("web", "worker", "postgresql"):
        values = [each["sustained"]["cpu_us_per_event"][part] for each in (found, grown)]
        rows.append([f"CPU µs an event, {part}, at once", *values])
    events = [found["disk"]["events"], grown["events_in_table"]]
    return table(["", *(f"{many(count)} events in the day's partition" for count in events)], rows)


def made_anew(text: str, figures: Figures) -> str:
    """`text` with each of its tables made anew. Raises `KeyError` for a block nobody makes."""
    makers = (assumed, stages, one_box, customers, retention, saturation, growth)
    others = (_figure_tables.ingestion, _figure_tables.peers, _figure_tables.fleet)
    by_name: dict[str, Callable[[Figures], str]] = {maker.__name__: maker for maker in (*makers, *others)}
    return BLOCK.sub(lambda match: f"{match[1]}\n{by_name[match[2]](figures)}\n{match[3]}", text)


def take(paths: Sequence[Path], figures: dict[str, Any]) -> None:
    """Replace the figures by those of new runs: the last line of each file. Raises `SystemExit` on any other file."""
    for path in paths:
        try:
            result = json.loads(path.read_text().strip().splitlines()[-1])
            name = result["benchmark"]
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise SystemExit(f"error: {path} is not what a benchmark printed: {error!r}") from None
        if name not in TAKEN:
            raise SystemExit(f"error: the page takes nothing from `{name}`\nhint: it takes {', '.join(TAKEN)}")
        figures[name] = result


def main() -> int:
    """Rewrite the pages."""
    parser = argparse.ArgumentParser(prog="scripts/bench capacity", description="The tables of docs/capacity.md.")
    parser.add_argument("--take", type=Path, nargs="+", default=[], help="what benchmarks printed")
    options = parser.parse_args()
    figures: dict[str, Any] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    take(options.take, figures)
    if options.take:
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    if missing := [name for name in ("ingestion", "fleet") if name not in figures]:
        raise SystemExit(
            f"error: no figures of {', '.join(missing)}\nhint: run `scripts/bench NAME > FILE`, then --take FILE"
        )
    changed = []
    for page in PAGES:
        before = page.read_text()
        after = made_anew(before, figures)
        if after != before:
            page.write_text(after)
            changed.append(page.name)
    print(json.dumps({"benchmark": "capacity", "changed": changed}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
