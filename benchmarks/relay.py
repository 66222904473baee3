"""What standing between an MCP client and server costs: `scripts/bench relay`.

In one run, beside one another: no relay at all, a C `poll` tee that keeps what passes (`tee.c`, compiled here), this
client, and the monitors of other people (`_relay_peers.py`). All live through the whole run and take turns in short
rounds, so whatever else the machine does hits all alike; what one adds is its median of a round minus the direct median
of the same round, and of those the median is told.

    round trip      a 600-byte message to a C server that answers it with itself: little is measured but the relay
    large message   a request answered with 8 MB, by a server and to a client that decode and encode JSON; and, with no
                    JSON at either end, 8 MB there and back through the C server
    start           from `exec` to the first instruction of the server, by the monotonic clock
    memory          of the relay's own process, at its peak, after all of the above

The last line is one JSON object; every number's name carries its unit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks._machine import machine
from benchmarks._peer_environment import PeerError
from benchmarks._relay_connection import Connection
from benchmarks._relay_peers import PEERS
from benchmarks._relay_report import Contender, results

HERE = Path(__file__).resolve().parent
JSON_SERVER = [sys.executable, str(HERE / "_json_server.py")]
TRIPS = 200  # round trips of one contender's turn: some milliseconds, short beside what disturbs them
LARGE_BYTES = 8_000_000
LARGE_ROUNDS = 5  # few: each leaves a record of 16 MB or more in every contender's files
START_ROUNDS = 15
HEAD, TAIL = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"', b'"}}\n'
MESSAGE = HEAD + b"x" * (600 - len(HEAD + TAIL)) + TAIL
LARGE_MESSAGE = HEAD + b"x" * LARGE_BYTES + TAIL
LARGE_REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"bytes":%d}}\n' % LARGE_BYTES


def main() -> int:
    """Run everything; exit with 1 when a target of ours was missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench relay", description="The relay beside a C tee and its peers.")
    parser.add_argument("--rounds", type=int, default=80, help=f"rounds of {TRIPS} round trips each")
    parser.add_argument("--without-peers", action="store_true", help="only direct, the C tee and this client")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="km-bench-") as name:
        directory = Path(name)
        tee = compiled(directory)
        contenders = line_up(directory, tee, with_peers=not options.without_peers)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KM_")}
        environment |= {"HOME": name, "KM_DATA_DIR": str(directory / "kilometers"), "KM_AGENT": "off"}
        measure(contenders, [str(tee), "--server"], environment, options.rounds)
    report = {
        "benchmark": "relay",
        "machine": machine() | {"load_1m": round(os.getloadavg()[0], 1)},
        "rounds": options.rounds,
        **results(contenders),
    }
    print(json.dumps(report))
    return 0 if all(report["met"].values()) else 1


def compiled(directory: Path) -> Path:
    """`tee.c` as a program."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        sys.exit("error: the reference needs a C compiler\n  hint: on Debian and Ubuntu `apt install gcc libc6-dev`")
    subprocess.run([compiler, "-O2", "-o", directory / "tee", HERE / "tee.c"], check=True)
    return directory / "tee"


def line_up(directory: Path, tee: Path, *, with_peers: bool) -> list[Contender]:
    """All contenders; a peer that cannot be installed has its error set."""
    ours = [str(Path(sys.executable).with_name("km-client")), "monitor", "--"]
    tee_command = [str(tee), str(directory / "tee.log")]
    contenders = [Contender("direct", []), Contender("c_tee", tee_command), Contender("km-client", ours)]
    for peer in PEERS if with_peers else ():
        contender = Contender(peer.package, [])
        (directory / peer.package).mkdir()
        try:
            contender.command = peer.command(directory / peer.package)
        except (PeerError, OSError, subprocess.SubprocessError) as error:
            contender.error = str(error)
        contenders.append(contender)
    return contenders


def measure(contenders: list[Contender], server: list[str], environment: dict[str, str], rounds: int) -> None:
    """Start every contender twice, before the C and the JSON server, and let them take turns; then measure starts."""
    small: dict[str, Connection] = {}
    large: dict[str, Connection] = {}
    with ExitStack() as stack:
        for contender in contenders:
            for connections, behind in ((small, server), (large, JSON_SERVER)):
                connections[contender.name] = Connection([*contender.command, *behind], environment)
                stack.callback(connections[contender.name].close)
        take_turns(contenders, "warm up", 1, lambda c: small[c.name].read_line())
        take_turns(contenders, "round trips", rounds, lambda c: round_trips(c, small[c.name]))
        take_turns(contenders, "large messages", LARGE_ROUNDS, lambda c: large_json(c, large[c.name]))
        take_turns(contenders, "large messages without JSON", LARGE_ROUNDS, lambda c: large_bytes(c, small[c.name]))
        take_turns(contenders[1:], "memory", 1, lambda c: memory(c, small[c.name], large[c.name]))
    take_turns(contenders, "starts", START_ROUNDS, lambda c: start(c, server, environment))


def take_turns(contenders: list[Contender], what: str, rounds: int, action: Callable[[Contender], object]) -> None:
    """Each round begins with another one, so that none always follows the same; one that failed is left out."""
    for number in range(rounds):
        progress(f"{what}, round {number + 1} of {rounds}")
        first = number % len(contenders)
        for contender in contenders[first:] + contenders[:first]:
            if not contender.error:
                attempt(contender, action)


def attempt(contender: Contender, action: Callable[[Contender], object]) -> None:
    try:
        action(contender)
    except (PeerError, OSError) as error:
        contender.error = str(error)


def round_trips(contender: Contender, connection: Connection) -> None:
    clock, times = time.perf_counter_ns, []
    with connection.turn():
        for _ in range(TRIPS):
            begun = clock()
            connection.write(MESSAGE)
            connection.read(len(MESSAGE))
            times.append((clock() - begun) / 1_000)
    contender.round_trips_us.append(times)


def large_json(contender: Contender, connection: Connection) -> None:
    begun = time.perf_counter()
    with connection.turn():
        connection.write(LARGE_REQUEST)
        json.loads(connection.read_line())
    contender.large_json_ms.append((time.perf_counter() - begun) * 1_000)


def large_bytes(contender: Contender, connection: Connection) -> None:
    writer = threading.Thread(target=connection.write, args=(memoryview(LARGE_MESSAGE),))
    begun = time.perf_counter()
    with connection.turn():
        writer.start()
        connection.read(len(LARGE_MESSAGE))
        writer.join()
    contender.large_bytes_ms.append((time.perf_counter() - begun) * 1_000)


def start(contender: Contender, server: list[str], environment: dict[str, str]) -> None:
    begun = time.monotonic_ns()
    connection = Connection([*contender.command, *server], environment)
    with connection.turn():
        first_line = connection.read_line()
    connection.close()
    contender.start_ms.append((json.loads(first_line)["params"]["ns"] - begun) / 1_000_000)


def memory(contender: Contender, *connections: Connection) -> None:
    """The peak of both processes. Linux tells it; elsewhere it is what they have now."""
    contender.memory_mb = max(_peak_mb(connection.process.pid) for connection in connections)


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1_024 / 1e6
    return float(psutil.Process(pid).memory_info().rss / 1e6)


def progress(text: str) -> None:
    """On stderr, over itself at a terminal."""
    sys.stderr.write(f"\r{text}  " if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
