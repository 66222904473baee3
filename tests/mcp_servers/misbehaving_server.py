"""Servers as found in the wild: each mode breaks one rule of MCP's stdio transport.

misbehaving_server.py garbage       prints a banner, a traceback, binary, ANSI colours and half a line, then serves
misbehaving_server.py ignores-eof   goes on after the end of stdin, and ignores SIGTERM
misbehaving_server.py forks FILE    leaves a child that holds stdout open; FILE gets the child's pid
misbehaving_server.py floods-stderr writes 4 MiB to stderr before it answers anything
misbehaving_server.py exits-seven   exits with 7 at once, stdin still open
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

echo_server = importlib.import_module("echo_server")  # it stands beside this file, and both run as scripts

GARBAGE = (
    b"Welcome to Server 2000!\r\n"
    b"\n"
    b"\x1b[31mWARN\x1b[0m caf\xe9 in Latin-1\n"
    b"Traceback (most recent call last):\n"
    b'{"jsonrpc":"2.0","method":"cut\n'
    b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"a\xe2\x80\xa8b \\ud800 \\u0000"}}\n'
    b"\x00\x01\x02\xff\xfe\n"
)
STDERR_BYTES = 4 * 1024 * 1024  # far more than a pipe holds: a relay that does not drain it hangs here


def garbage() -> None:
    sys.stdout.buffer.write(GARBAGE)
    sys.stdout.buffer.flush()
    echo_server.main()
    sys.stdout.buffer.write(b"the end, without a newline")
    sys.stdout.buffer.flush()


def ignores_eof() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    echo_server.main()
    while True:
        time.sleep(3600)


def forks() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    Path(sys.argv[2]).write_text(str(child.pid))
    echo_server.main()


def floods_stderr() -> None:
    line = b"debug: " + b"x" * 1016 + b"\n"
    for _ in range(STDERR_BYTES // len(line)):
        os.write(2, line)
    echo_server.main()


def exits_seven() -> None:
    sys.exit(7)


MODES = {
    "garbage": garbage,
    "ignores-eof": ignores_eof,
    "forks": forks,
    "floods-stderr": floods_stderr,
    "exits-seven": exits_seven,
}

if __name__ == "__main__":
    MODES[sys.argv[1]]()
