"""What plugins cost the stream they watch: the relay with three of them beside the relay with none, in turns.

Both relays run through the whole measurement, each with an agent of its own, before a C server that answers a message
with itself. A trip is a 600-byte tool call there and back; trips follow one another as fast as a busy session's do, a
few milliseconds apart, so the agent and the plugins work on the calls before while the next ones pass. Turns are short
and alternate, so whatever else the machine does hits both alike, and the ratio is that of the medians of a round.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from km_client.plugins import report
from km_client.plugins.report import PluginReport

from benchmarks._relay_connection import Connection

KM_CLIENT = str(Path(sys.executable).with_name("km-client"))
TRIPS = 50
PAUSE_SECONDS = 0.005
HEAD = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","arguments":{"path":"'
TAIL = b'"}}}\n'
MESSAGE = HEAD + b"x" * (600 - len(HEAD + TAIL)) + TAIL


class Laptop:
    """One relay, its agent and its plugins, on a data directory of their own."""

    def __init__(self, place: Path, server: Sequence[str], plugins: Sequence[Path]) -> None:
        self.place = place
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KM_")}
        self._environment = kept | {"KM_CONFIG_DIR": str(place / "config"), "KM_DATA_DIR": str(place / "data")}
        options = [word for plugin in plugins for word in ("--plugin", str(plugin))]
        command = [KM_CLIENT, "monitor", "--local-only", *options, "--", *server]
        self.connection = Connection(command, self._environment)
        self.medians_us: list[float] = []
        self.trips_us: list[float] = []
        self.connection.write(MESSAGE)
        self.connection.read(len(MESSAGE))  # all of it is up

    def turn(self) -> None:
        clock, times = time.perf_counter_ns, []
        with self.connection.turn():
            for _ in range(TRIPS):
                begun = clock()
                self.connection.write(MESSAGE)
                self.connection.read(len(MESSAGE))
                times.append((clock() - begun) / 1_000)
                time.sleep(PAUSE_SECONDS)
        self.medians_us.append(statistics.median(times))
        self.trips_us += times

    def plugins(self) -> list[PluginReport]:
        told = report.read(self.place / "data" / "agent" / report.FILE_NAME)
        return told.plugins if told else []

    def close(self) -> None:
        self.connection.close()
        subprocess.run([KM_CLIENT, "agent", "stop"], env=self._environment, stdout=subprocess.DEVNULL, check=True)


def measure(place: Path, server: Sequence[str], plugins: Sequence[Path], rounds: int) -> dict[str, object]:
    """Both relays' trips. Exits with what is wrong when a plugin does not run or misses an event."""
    with ExitStack() as stack:
        laptops = [Laptop(place / name, server, given) for name, given in (("none", ()), ("three", plugins))]
        for laptop in laptops:
            stack.callback(laptop.close)
        none, three = laptops
        until(three, "all plugins run", lambda rows: [row.state for row in rows] == ["running"] * len(plugins))
        for number in range(rounds):
            for laptop in laptops if number % 2 else reversed(laptops):
                laptop.turn()
        events = 2 + 2 * TRIPS * rounds  # each call there and back, the first one included
        until(
            three, f"each plugin has handled {events} events", lambda rows: all(row.handled >= events for row in rows)
        )
    ratios = [with_ / without for with_, without in zip(three.medians_us, none.medians_us, strict=True)]
    return {
        "relay_trip_without_plugins_us": round(statistics.median(none.trips_us), 1),
        "relay_trip_with_three_plugins_us": round(statistics.median(three.trips_us), 1),
        "relay_trip_p99_without_plugins_us": round(statistics.quantiles(none.trips_us, n=100)[98], 1),
        "relay_trip_p99_with_three_plugins_us": round(statistics.quantiles(three.trips_us, n=100)[98], 1),
        "relay_trip_ratio": round(statistics.median(ratios), 3),
        "relay_trips_per_second": round(1 / PAUSE_SECONDS),
    }


def until(laptop: Laptop, what: str, claim: Callable[[list[PluginReport]], bool]) -> None:
    deadline = time.monotonic() + 60
    while not (rows := laptop.plugins()) or not claim(rows):
        if time.monotonic() > deadline:
            told = json.dumps([(row.key, row.state, row.handled, row.dropped) for row in rows])
            sys.exit(f"not within a minute: {what}; they are {told}")
        time.sleep(0.1)
