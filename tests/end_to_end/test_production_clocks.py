"""A clock that is days wrong, in one process of a production service: it stores like the others, and deletes nothing.

libfaketime gives one process another clock, by a file that says how far off: changed while it runs, the clock jumps.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.end_to_end.production_checks import assert_only_503, assert_stored_and_counted_once, assert_stored_once
from tests.end_to_end.production_load import Load
from tests.end_to_end.production_servers import free_port
from tests.end_to_end.production_stack import MANAGE, Stack
from tests.end_to_end.waiting import eventually

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)

pytestmark = [
    pytest.mark.servers,
    pytest.mark.xdist_group("production"),
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed"),
]

BETWEEN = 20
BEAT_SECONDS = 60
AHEAD, BEHIND = "+2d", "-2d"


class Clock:
    """The clock of the processes that are started with `variables`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "clock"

    def jump(self, offset: str) -> None:
        """Be `offset` off from now on."""
        self._path.with_suffix(".new").write_text(offset)
        self._path.with_suffix(".new").replace(self._path)  # nobody reads half of it

    @property
    def variables(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A clock for one process."""
    return Clock(tmp_path)


@contextmanager
def suspended(process: psutil.Process | None) -> Iterator[None]:
    """`process` does nothing meanwhile."""
    assert process is not None
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_a_worker_whose_clock_jumps_by_days_goes_on_draining_and_puts_nothing_off(
    production: Stack, clock: Clock
) -> None:
    customer = production.customer()
    production.wait_until_drained()  # the worker that is suspended next must hold no row
    ingest = eventually(lambda: production.program("ingest"), what="a worker runs")
    clock.jump(AHEAD)
    command = ("run_worker", "--role", "ingest")
    with suspended(ingest), production.beside("ingest", *command, **clock.variables) as worker:
        heartbeat = (
            "SELECT abs(extract(epoch FROM now() - at)) FROM events_heartbeat WHERE name = 'worker' AND pid = %s"
        )
        assert eventually(lambda: production.database.ask(heartbeat, worker.pid), what="it beats")[0][0] < BEAT_SECONDS
        acknowledged: set[str] = set()
        for offset in (AHEAD, BEHIND):
            clock.jump(offset)
            with Load(production.address, customer["api_key"], name=offset) as load:
                load.await_batches(BETWEEN)
            acknowledged |= load.acknowledged
            assert_stored_and_counted_once(production, acknowledged, customer)


def test_a_web_server_whose_clock_jumps_by_days_accepts_what_is_of_today(production: Stack, clock: Clock) -> None:
    customer, port = production.customer(), free_port()
    clock.jump(BEHIND)
    with production.beside("web", "run_web", "--port", str(port), KM_WEB_PROCESSES="1", **clock.variables):
        address = ("127.0.0.1", port)
        with Load(address, customer["api_key"], senders=2) as load:
            for offset in (BEHIND, AHEAD):
                clock.jump(offset)
                await_clock(port, offset)
                load.begin_anew()
                load.await_batches(BETWEEN)
                assert load.answers.refusals == {}
        assert health(port)["clock"]["status"] == "degraded"
    assert_only_503(load)
    assert_stored_once(production, load, customer)
    days = "SELECT DISTINCT day = (now() AT TIME ZONE 'UTC')::date FROM events_dailyusage WHERE customer_id = {}"
    owner = f"(SELECT id FROM customers_customer WHERE public_id = '{customer['customer']}')"
    assert production.database.ask(days.format(owner)) == [(True,)]


def await_clock(port: int, offset: str) -> None:
    """Until the web server at `port` sees that its clock is `offset` off: two days, give or take some seconds."""
    seen = f"{offset[0]}172"
    eventually(lambda: seen in health(port)["clock"]["detail"], what=f"the clock is {offset}")


def health(port: int) -> dict[str, Any]:
    """The checks of the web server at `port`, once it answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/health", headers={"Host": "km.example.org"})

    def answer() -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                checks: dict[str, Any] = json.loads(response.read())["checks"]
                return checks if "clock" in checks else None
        except OSError:
            return None

    return eventually(answer, within=60, what="the web server answers")


def test_retention_under_a_wrong_clock_deletes_nothing_and_names_the_clock(production: Stack, clock: Clock) -> None:
    customer = production.customer()
    with Load(production.address, customer["api_key"]) as load:
        load.await_batches(BETWEEN)
    partitions = (
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events_event'::regclass ORDER BY 1"
    )
    before = production.database.ask(partitions)
    clock.jump("+400d")
    environment = production.environment | clock.variables
    command = [*MANAGE, "expire_events"]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "set the clock that is wrong" in done.stderr
    assert production.database.ask(partitions) == before
    assert_stored_once(production, load, customer)
