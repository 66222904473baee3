"""What pinning costs where changed tools are held: `scripts/bench pinning`.

In one run, taking turns in short rounds, a `tools/list` answered with 100 tools (79 kB) over stdio and over HTTP:

    direct            the client and the server alone
    km_client         `km-client monitor` between them, recording, with `tools.on_change = report`
    km_client_hold    the same with `hold`: every definition read, compared with its pin, and given as it came

What `hold` adds is the median of its rounds' medians, less that of `km_client` in the same round. The last line is one
JSON object; every number's name carries its unit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks._http_server import TOOLS, list_of_tools
from benchmarks._machine import machine
from benchmarks.http_proxy import Contender, held, monitored, started, take_turns

ROOT = Path(__file__).resolve().parent.parent
LISTS = 20  # of one contender's turn
ASKING = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
MONITOR = [str(Path(sys.executable).with_name("km-client")), "monitor"]
SERVER = [sys.executable, "-m", "benchmarks._http_server"]


class Pipe:
    """The server over stdio, with or without a monitor before it."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], stack: ExitStack) -> None:
        self.name = name
        self.lists_ms: list[float] = []
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        stack.callback(self._process.wait)
        stack.callback(self._process.terminate)

    def list(self) -> None:
        self.lists_ms.append(median_ms(self._ask))

    def _ask(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(ASKING + b"\n")
        self._process.stdin.flush()
        self._process.stdout.readline()


class Connection(Contender):
    """The server over HTTP, with or without a proxy before it."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(name, port)
        self.lists_ms: list[float] = []

    def list(self) -> None:
        self.lists_ms.append(median_ms(lambda: self.post(ASKING, b"/tools")))


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench pinning", description="Holding a list of tools.")
    parser.add_argument("--rounds", type=int, default=15, help=f"rounds of {LISTS} lists each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="km-bench-") as home, ExitStack() as stack:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KM_")}
        environment |= {"HOME": home, "KM_DATA_DIR": f"{home}/kilometers", "KM_AGENT": "off"}
        holding = held(home, environment)
        line = [*SERVER, "stdio"]
        over_stdio = [
            Pipe("direct", line, environment, stack),
            Pipe("km_client", [*MONITOR, "--", *line], environment, stack),
            Pipe("km_client_hold", [*MONITOR, "--", *line], holding, stack),
        ]
        port = int(started(SERVER, environment, stack))
        listen = [*MONITOR, "--listen", "127.0.0.1:0"]
        over_http = [
            Connection("direct", port),
            Connection("km_client", monitored(listen, port, environment, stack, "/tools")),
            Connection("km_client_hold", monitored(listen, port, holding, stack, "/tools")),
        ]
        take_turns([*over_stdio, *over_http], "list", 1 + options.rounds)
    results = {"stdio": figures(over_stdio), "http": figures(over_http)}
    about = {"tools": TOOLS, "list_bytes": len(list_of_tools())}
    print(json.dumps({"benchmark": "pinning", "machine": machine(), **about, **results}))
    return 0


def median_ms(ask: Callable[[], object]) -> float:
    """Of a turn's lists, in milliseconds."""
    times = []
    for _ in range(LISTS):
        begun = time.perf_counter_ns()
        ask()
        times.append((time.perf_counter_ns() - begun) / 1e6)
    return statistics.median(times)


def figures(contenders: Sequence[Pipe | Connection]) -> dict[str, float]:
    """The first round is warming up: it pins the tools."""
    _, report, hold = rounds = [each.lists_ms[1:] for each in contenders]
    said = {f"{each.name}_median_ms": statistics.median(times) for each, times in zip(contenders, rounds, strict=True)}
    said["hold_added_median_ms"] = statistics.median(own - other for own, other in zip(hold, report, strict=True))
    return {name: round(value, 3) for name, value in said.items()}


if __name__ == "__main__":
    sys.exit(main())
