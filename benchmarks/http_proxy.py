"""What the reverse proxy for MCP over HTTP costs: `scripts/bench http_proxy`.

In one run, taking turns in short rounds: no proxy, a pump that passes bytes unread (Python, two threads a connection:
the least that standing between costs here), and `km-client monitor --url … --listen`, recording; once more with
`tools.on_change = hold`. All over one kept-open connection to one server of raw bytes (`_http_server.py`).

    call           a POST of 600 bytes answered with 600; what a proxy adds is the median of its rounds' medians, less
                   the direct median of the same round
    first byte     from the moment a server sends an event to the moment a client has it
    large          a POST of 8 MB answered with 8 MB

The last line is one JSON object; every number's name carries its unit.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks._http_server import EVENTS
from benchmarks._machine import machine

ROOT = Path(__file__).resolve().parent.parent
CALLS = 200  # of one contender's turn
LARGE_BYTES = 8_000_000
LARGE_ROUNDS = 5
STREAM_ROUNDS = 4
MET_ADDED_MS, MET_FIRST_BYTE_MS = 1.0, 5.0
BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"'
BODY += b"x" * (600 - len(BODY) - 4) + b'"}}}'


class Contender:
    """One way to the server, and its times."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = b"127.0.0.1:%d" % port
        self.calls_us: list[list[float]] = []
        self.delays_ms: list[float] = []
        self.large_ms: list[float] = []

    def post(self, body: bytes, path: bytes = b"/mcp") -> None:
        head = b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.connection.sendall(head % (path, self.host, len(body)) + body)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.connection.recv(65536)
        answer, _, rest = data.partition(b"\r\n\r\n")
        while b"Content-Length" not in answer:  # what is judged as a whole goes on in chunks
            if rest.endswith(b"\r\n0\r\n\r\n"):
                return
            rest = rest[-16:] + self.connection.recv(262144)
        left = int(answer.partition(b"Content-Length: ")[2].split(b"\r\n")[0]) - len(rest)
        while left:
            left -= len(self.connection.recv(min(left, 262144)))

    def call(self) -> None:
        clock, times = time.perf_counter_ns, []
        for _ in range(CALLS):
            begun = clock()
            self.post(BODY)
            times.append((clock() - begun) / 1_000)
        self.calls_us.append(times)

    def large(self) -> None:
        body = BODY[:-4] + b"x" * (LARGE_BYTES - len(BODY)) + BODY[-4:]
        begun = time.perf_counter()
        self.post(body)
        self.large_ms.append((time.perf_counter() - begun) * 1_000)

    def stream(self) -> None:
        self.connection.sendall(b"GET /stream HTTP/1.1\r\nHost: %b\r\nAccept: text/event-stream\r\n\r\n" % self.host)
        data, seen = b"", 0
        while not data.endswith(b"0\r\n\r\n"):
            data += self.connection.recv(65536)
            now = time.monotonic_ns()
            for part in data.split(b'"ns":')[seen + 1 :]:
                if b"}" in part:
                    self.delays_ms.append((now - int(part.partition(b"}")[0])) / 1e6)
                    seen += 1
        if seen != EVENTS:
            raise SystemExit(f"error: {self.name} passed {seen} of {EVENTS} events")


def main() -> int:
    """Run everything; exit with 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench http_proxy", description="The HTTP proxy beside a byte pump.")
    parser.add_argument("--rounds", type=int, default=40, help=f"rounds of {CALLS} calls each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="km-bench-") as home, ExitStack() as stack:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KM_")}
        environment |= {"HOME": home, "KM_DATA_DIR": f"{home}/kilometers", "KM_AGENT": "off"}
        helper = [sys.executable, "-m", "benchmarks._http_server"]
        server = int(started(helper, environment, stack))
        pump = int(started([*helper, "pump", str(server)], environment, stack))
        monitor = [str(Path(sys.executable).with_name("km-client")), "monitor", "--listen", "127.0.0.1:0"]
        ours = monitored(monitor, server, environment, stack)
        contenders = [Contender("direct", server), Contender("pump", pump), Contender("km_client", ours)]
        holding = held(home, environment)
        contenders.append(Contender("km_client_hold", monitored(monitor, server, holding, stack)))
        take_turns(contenders, "call", 2)
        for contender in contenders:
            contender.calls_us.clear()
        take_turns(contenders, "call", options.rounds)
        take_turns(contenders, "stream", STREAM_ROUNDS)
        take_turns(contenders, "large", LARGE_ROUNDS)
    results = {contender.name: figures(contender, contenders[0]) for contender in contenders}
    met = {
        "added_median_at_most_1_ms": results["km_client"]["added_median_us"] <= MET_ADDED_MS * 1_000,
        "first_byte_within_5_ms": results["km_client"]["first_byte_p50_ms"] <= MET_FIRST_BYTE_MS,
    }
    load = {"load_1m": round(os.getloadavg()[0], 1)}
    print(json.dumps({"benchmark": "http_proxy", "machine": machine() | load, **results, "met": met}))
    return 0 if all(met.values()) else 1


def held(home: str, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a monitor that holds changed tools."""
    Path(home, "hold").mkdir()
    Path(home, "hold", "config.toml").write_text('[tools]\non_change = "hold"\n')
    return environment | {"KM_CONFIG_DIR": f"{home}/hold"}


def monitored(
    monitor: list[str], server: int, environment: dict[str, str], stack: ExitStack, path: str = "/mcp"
) -> int:
    """The port of a proxy before `server`."""
    said = started([*monitor, "--url", f"http://127.0.0.1:{server}{path}"], environment, stack)
    return int(json.loads(said)["listening"].rpartition(":")[2].partition("/")[0])


def started(command: list[str], environment: dict[str, str], stack: ExitStack) -> str:
    """The first line that a process prints; it ends with this run."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=ROOT)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    assert process.stdout
    return process.stdout.readline().decode()


def take_turns(contenders: Sequence[object], action: str, rounds: int) -> None:
    """Each round begins with another one."""
    for number in range(rounds):
        first = number % len(contenders)
        for contender in [*contenders[first:], *contenders[:first]]:
            getattr(contender, action)()


def figures(contender: Contender, direct: Contender) -> dict[str, float]:
    medians = [statistics.median(times) for times in contender.calls_us]
    added = [own - other for own, other in zip(medians, map(statistics.median, direct.calls_us), strict=True)]
    calls = sorted(time for times in contender.calls_us for time in times)
    delays = sorted(contender.delays_ms)
    large = statistics.median(contender.large_ms)
    return {
        "call_median_us": round(statistics.median(medians), 1),
        "call_p99_us": round(calls[len(calls) * 99 // 100], 1),
        "added_median_us": round(statistics.median(added), 1),
        "first_byte_p50_ms": round(statistics.median(delays), 3),
        "first_byte_p99_ms": round(delays[len(delays) * 99 // 100], 3),
        "large_ms": round(large, 1),
        "large_mb_per_s": round(2 * LARGE_BYTES / 1e6 / (large / 1_000), 1),
    }


if __name__ == "__main__":
    sys.exit(main())
