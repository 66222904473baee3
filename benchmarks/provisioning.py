"""What it costs to sign what customers may run, and what a refresh costs a laptop: `scripts/bench provisioning`.

In a new directory: a registry founded with the keys of three people and two reviewers, five plugins and five builds
for each of 100, 1,000 and 10,000 customers, all on SQLite as the embedded service uses it (`synchronous=FULL`). Every
director is marked and signed anew; python-tuf's own client then refreshes over the served addresses, once with nothing
and once with what it kept. Packages of three payloads are made for one customer after another. `km-client` installs a
plugin of 3 MB from the web server, over loopback. At the end the catalog grows to 5,000 versions, all signed by two
reviewers.

Sizes are of answers' bodies, errors' too. The reference is the signing alone: Ed25519 by the same library, no rows, no
JSON. The last line is one JSON object; every name carries its unit.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

TARGETS = {
    "resign_1000_customers_s": 3.0,
    "refresh_cold_bytes": 3 * 1024,
    "refresh_warm_bytes": 1024,
    "catalog_5000_cold_bytes": 100 * 1024,
    "install_3mb_ms": 600.0,
    "package_3mb_unpacked_ms": 100.0,
    "package_3mb_packed_ms": 100.0,
}
BUILDS = 5
VERSIONS = 5_000
LINEAR = 1.5  # a customer among 10,000 may cost half as much again as one among 1,000: the database is larger


def main() -> int:
    """Measure; exit with 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench provisioning", description="Signing and refreshing.")
    parser.add_argument(
        "--customers", type=int, nargs="+", default=[100, 1_000, 10_000], help="sizes to show growth at"
    )
    parser.add_argument("--versions", type=int, default=VERSIONS, help="versions in the large catalog")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="km-bench-") as name:
        _set_up(Path(name))
        from benchmarks._machine import machine  # noqa: PLC0415

        figures = _measure(Path(name), chosen)
        report: dict[str, Any] = {"benchmark": "provisioning", "machine": machine(), **figures}
    report["met"] = {key: figures[key] <= limit for key, limit in TARGETS.items() if key in figures}
    report["met"]["growth_is_linear"] = report["growth_us_per_customer_ratio"] <= LINEAR
    print(json.dumps(report))
    return 0 if all(report["met"].values()) else 1


def _set_up(directory: Path) -> None:
    """Django, with everything of its own in `directory`."""
    for key in [key for key in os.environ if key.startswith("KM_")]:
        del os.environ[key]
    os.environ |= {
        "KM_DATA_DIR": str(directory),
        "KM_LOG_LEVEL": "ERROR",
        "KM_ALLOWED_HOSTS": "localhost",
        "KM_BROKER_URL": "memory://",
        "DJANGO_SETTINGS_MODULE": "kmcloud.settings",
    }
    (directory / "static").mkdir()
    logging.disable(logging.WARNING)  # a client asks for the next root until there is none: a 404 each time
    import django  # noqa: PLC0415 - after its environment
    from django.core.management import call_command  # noqa: PLC0415

    django.setup()
    call_command("migrate", verbosity=0)


def _measure(directory: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    from benchmarks import _package_builds, _plugin_install  # noqa: PLC0415 - after Django
    from benchmarks import _registry_load as load  # noqa: PLC0415

    moment = load.now()
    (directory / "ceremonies").mkdir()
    registry = load.world.found(directory / "ceremonies", at=moment, bits=load.BIN_BITS)
    figures: dict[str, Any] = _plugin_install.report(registry, directory, moment)  # first: no worker builds the others
    own, command = figures["install_3mb_ms"], figures["install_3mb_command_ms"]
    print(f"install of {figures['install_3mb_bytes']:,} B: {own} ms, by `km-client plugins install` {command} ms")
    payloads = load.plugins(registry, BUILDS, moment)
    figures["reference_signatures_per_s"] = round(load.signatures_per_second())
    seconds_each = {}
    made = 0
    for count in sorted(chosen.customers):
        load.customers(made, count, payloads, moment)
        made = count
        seconds = min(_resign(load, count, moment) for _ in range(2))
        seconds_each[count] = seconds / count
        figures[f"resign_{count}_customers_s"] = round(seconds, 3)
        print(f"{count:,} customers signed anew in {seconds:.2f} s, {seconds / count * 1e6:.0f} µs each")
    largest, before = max(seconds_each), sorted(seconds_each)[max(len(seconds_each) - 2, 0)]
    figures["growth_us_per_customer_ratio"] = round(seconds_each[largest] / seconds_each[before], 2)
    figures |= load.refresh(directory / "client")
    print(f"refresh: {figures['refresh_cold_bytes']} B cold, {figures['refresh_warm_bytes']} B warm")
    figures |= _package_builds.report(registry, moment)
    for name in _package_builds.CASES:
        size, spent = figures[f"package_{name}_bytes"], figures[f"package_{name}_ms"]
        print(f"a customer's package, {name.replace('_', ' ')}: {spent} ms for {size:,} B")
    started = time.perf_counter()
    load.catalog_of(chosen.versions, registry, moment)
    figures["catalog_versions"] = chosen.versions
    figures["catalog_signed_by_two_reviewers_s"] = round(time.perf_counter() - started, 2)
    figures |= load.catalog_refresh(directory / "catalog", chosen.versions)
    print(f"catalog of {chosen.versions:,} versions: {figures['catalog_5000_cold_bytes']:,} B cold")
    return figures


def _resign(load: Any, count: int, moment: datetime) -> float:
    """Seconds to sign `count` directors that were all marked at once."""
    load.mark_everyone_dirty()
    begun = time.perf_counter()
    done = 0
    while more := load.director.publish_due(at=moment):
        done += more
    seconds = time.perf_counter() - begun
    assert done == count, f"{done} of {count} were due"
    return seconds


if __name__ == "__main__":
    sys.exit(main())
