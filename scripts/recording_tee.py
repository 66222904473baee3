"""A pipe between an MCP client and a server that keeps a copy of every byte, for comparing both sides of the relay.

    recording_tee.py DIRECTORY -- COMMAND…    writes DIRECTORY/to_server and DIRECTORY/from_server

Knows nothing of lines or JSON. Ends when the command ends, with its exit code. Standard library only: it also stands
in for a laptop where only Python is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

CHUNK_BYTES = 65536  # a pipe's capacity on Linux


def copy(source: int, copy_path: Path, target: int) -> None:
    """Until the end of `source`: record what was read, then pass it on."""
    record = os.open(copy_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        while data := os.read(source, CHUNK_BYTES):
            write_all(record, data)
            write_all(target, data)
    except BrokenPipeError:
        return  # the other side has gone; its end is reported by its exit code
    finally:
        os.close(record)
        os.close(target)


def write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def main() -> None:
    directory, separator, *command = sys.argv[1:]
    assert separator == "--" and command, __doc__
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert server.stdin is not None and server.stdout is not None
    upstream = threading.Thread(target=copy, args=(0, folder / "to_server", os.dup(server.stdin.fileno())), daemon=True)
    server.stdin.close()
    upstream.start()
    copy(server.stdout.fileno(), folder / "from_server", os.dup(1))
    code = server.wait()
    os._exit(code if code >= 0 else 128 - code)  # the upstream thread may be waiting for a client that says nothing


if __name__ == "__main__":
    main()
