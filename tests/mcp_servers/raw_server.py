"""A server of bytes: sends a file exactly, records what it receives exactly, and ends as told.

    raw_server.py --send FILE --record FILE [--chunk 1000] [--exit 7] [--at eof|once-sent]

`--at eof` (the default) ends at the end of stdin; `--at once-sent` ends as soon as the file was sent, with stdin open.
"""

from __future__ import annotations

import argparse
import os
import threading
from pathlib import Path


def send(path: Path, chunk: int) -> None:
    data = path.read_bytes()
    for start in range(0, len(data), chunk):
        view = memoryview(data)[start : start + chunk]
        while view:
            view = view[os.write(1, view) :]


def record(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while data := os.read(0, 65536):
            file.write(data)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--send", type=Path, required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--chunk", type=int, default=65536)
    parser.add_argument("--exit", type=int, default=0)
    parser.add_argument("--at", choices=["eof", "once-sent"], default="eof")
    args = parser.parse_args()
    recorder = threading.Thread(target=record, args=(args.record,), daemon=True)
    recorder.start()
    send(args.send, args.chunk)
    if args.at == "eof":
        recorder.join()
    os._exit(args.exit)


if __name__ == "__main__":
    main()
