"""The tables of `docs/benchmarks.md` that come from one run of `ingestion` or `fleet`; see `capacity.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def where(result: Figures) -> str:
    """The machine's part of a result, as a sentence."""
    machine = result["machine"]
    return (
        f"\nOn {machine['cpus']} cores, {machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']},"
        f" with a load average of {machine['load_of_the_last_minute']} at the end, the run's own included.\n"
    )


def ingestion(figures: Figures) -> str:
    """Both ways to run the service."""
    result = figures["ingestion"]
    embedded, production, goals = result["embedded"], result["production"], result["targets"]
    batch, single, both, alone = embedded["batch"], embedded["single"], production["sustained"], production["single"]
    accept, drain = production["accept"], production["drain"]
    rows = [
        _row("embedded, batches of 100 (zstd): acknowledged, events/s", batch, "acked_events_per_s", 15_000),
        _row("… acknowledged and drained, events/s", batch, "acked_and_drained_events_per_s"),
        ["… CPU µs an event", _cpu(batch), ""],
        _row("embedded, single events: acknowledged, events/s", single, "acked_events_per_s", 1_200),
        ["… CPU µs an event", _cpu(single), ""],
        _row("reference: commits/s of bare SQLite, same disk", embedded, "reference_sqlite_commits_per_s"),
        _row(
            "production, batches of 100 (zstd), alone: acknowledged, events/s",
            accept,
            "acked_events_per_s",
            goals["production_acked_events_per_s"],
        ),
        ["… a request takes, median / slowest hundredth", _took(accept), ""],
        _row("… draining alone, events/s", drain, "drained_events_per_s", goals["production_drained_events_per_s"]),
        _row("… at once, events/s", both, "acked_and_drained_events_per_s", goals["production_sustained_events_per_s"]),
        ["… CPU µs an event", _cpu(both), ""],
        _row("production, single events, at once: acknowledged, events/s", alone, "acked_events_per_s"),
        ["… a request takes, median / slowest hundredth", _took(alone), ""],
        ["… CPU µs an event", _cpu(alone), ""],
        ["sent = stored, embedded", _kept(embedded), "0 lost"],
        ["sent = stored, production, after `kill -9`", _kept(production), "0 lost"],
    ]
    return table(["", "figure", "to reach"], rows) + where(result)


def _row(name: str, result: Figures, key: str, target: int = 0) -> list[str]:
    return [name, f"{result[key]:,}", f"≥ {target:,}" if target else ""]


def _cpu(result: Figures) -> str:
    spent = result["cpu_us_per_event"]
    return ", ".join(f"{part} {spent[part]:.0f}" for part in spent if spent[part] >= 0.5)


def _took(result: Figures) -> str:
    return f"{result['request_p50_ms']:.0f} / {result['request_p99_ms']:.0f} ms"


def _kept(result: Figures) -> str:
    return f"{result['sent_events']:,} = {result['stored_events']:,}" + (
        "" if result["sent_equals_stored"] else f", **{result['lost_events']} lost**"
    )


def peers(figures: Figures) -> str:
    """Other people's services, and ours in the same run."""
    result = figures["ingestion"]
    ours, both = result["production"], result["production"]["sustained"]
    killed = ours["killed_after_last_ack_batches"] * 100
    rows: list[list[object]] = [
        [
            "**Kilometers**, production, all at once",
            f"{both['acked_events_per_s']:,}",
            f"{both['acked_and_drained_events_per_s']:,}",
            f"{ours['lost_events']} of {killed:,}",
        ]
    ]
    for name, found in result["peers"].items():
        if "not_measured_because" in found:
            rows.append([name, f"not measured: {found['not_measured_because']}", "", ""])
            continue
        lost = f"{found['acknowledged_but_lost_events']:,} of {found['acked_before_kill_events']:,}"
        speeds = [f"{found[key]:,}" for key in ("acked_events_per_s", "stored_events_per_s")]
        rows.append([f"{name} {found['version']}, {found['messages']:,} messages", *speeds, lost])
    return table(["", "acknowledged, events/s", "stored, events/s", "lost of those acknowledged"], rows)


def fleet(figures: Figures) -> str:
    """One run of the fleet."""
    result = figures["fleet"]
    spent = {**result["server_cpu_us_per_event"], "the clients": result["generator_cpu_us_per_event"]}
    rows = [
        ["laptops, service", f"{result['clients']}, {result['service']}"],
        ["recorded", f"{result['recorded_events']:,} events, {result['recorded_events_per_s']:,} a second"],
        ["waiting when recording ended", f"{result['backlog_at_end_events']:,} events"],
        ["events in a request", result["events_per_request"]],
        ["other requests (tokens)", f"{result['other_requests']:,}"],
        ["from record to acknowledged, median / slowest hundredth", _late(result["recorded_to_acked"])],
        ["from record to stored", _late(result["recorded_to_stored"])],
        ["CPU µs an event", _cpu({"cpu_us_per_event": spent})],
        ["sent again, refused, lost, stored twice", _counts(result)],
        ["sent = stored", f"{result['recorded_events']:,} = {result['stored_events']:,}"],
    ]
    return table(["", "figure"], rows) + where(result)


def _late(spread: Figures) -> str:
    return f"{spread['p50_ms']:,} / {spread['p99_ms']:,} ms"


def _counts(result: Figures) -> str:
    names = ("sent_again_events", "refused_events", "lost_events", "stored_twice_events")
    return ", ".join(f"{result[name]:,}" for name in names)
