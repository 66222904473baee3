"""Servers of one trait each, run as `python servers.py TRAIT …`. Each announces itself with a line once it is ready."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def reports_signals() -> None:
    """Says each signal it gets; ends with 5 after as many as its argument says."""
    arrived: list[int] = []
    for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(caught, lambda number, _: arrived.append(number))
    say("ready")
    told = 0
    while told < int(sys.argv[2]):
        time.sleep(0.01)
        for number in arrived[told:]:
            say(signal.Signals(number).name)
            told += 1
    sys.exit(5)


def ignores_eof() -> None:
    """Goes on after the end of stdin."""
    say("ready")
    while True:
        time.sleep(60)


def ignores_term() -> None:
    """Goes on after the end of stdin, and after SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ignores_eof()


def launches() -> None:
    """As `npx` does: starts the real server, says its pid, and waits for it."""
    child = subprocess.Popen([sys.executable, __file__, sys.argv[2]], stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    say(str(child.pid))
    child.wait()


def abandons() -> None:
    """Leaves a child that holds stdout, says its pid, and ends with 3."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    say(str(child.pid))
    sys.exit(3)


def last_words() -> None:
    """Says its pid on stderr, writes so much that it fills every pipe on the way, and is gone."""
    os.write(2, f"{os.getpid()}\n".encode())
    for _ in range(3):
        os.write(1, b"x" * 65_536)
    os._exit(0)


def never_reads() -> None:
    """Talks, but does not listen."""
    for number in range(2_000):
        say(f"tick {number}")
    time.sleep(60)


def floods() -> None:
    """Answers a `ping` on stderr while it floods stdout."""
    if os.fork() == 0:
        while True:
            os.write(1, b"flood\n" * 1000)
    for line in sys.stdin:
        os.write(2, f"heard {line}".encode())


def closes_stdin() -> None:
    os.close(0)
    say("deaf")
    time.sleep(60)


def closes_stdout() -> None:
    say("last")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    for line in sys.stdin:
        os.write(2, f"heard {line}".encode())


def shows_itself() -> None:
    """Its descriptors, ignored and blocked signals, arguments, directory and one variable."""
    descriptors = [path.name for path in Path("/proc/self/fd").iterdir() if path.exists()]
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    # 32 and 33 are the C library's own, and `posix_spawn` always has them ignored: they mean nothing to a program.
    ignored = int(status["SigIgn"], 16) & ~(0b11 << 31)
    say(f"{sorted(descriptors)} {ignored:x} {status['SigBlk']}")
    say(ascii([os.fsencode(argument) for argument in sys.argv[2:]]))
    say(f"{Path.cwd()}|{os.environ.get('SHOWN')}|{os.environ.get('KM_API_KEY')}")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
