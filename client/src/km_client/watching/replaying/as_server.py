"""The recorded server on this process's stdin and stdout: an MCP server for tests that needs only a recording."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import threading
import time

from km_client.proxy.framing import Frame, FrameSplitter
from km_client.watching.replaying.stage import Stage

READ_BYTES = 64 * 1024
LONGEST_WAIT_SECONDS = 3_600.0  # at once: after it comes the next one; a queue takes no more than some centuries
PARSE_ERROR, INVALID_REQUEST = -32700, -32600  # JSON-RPC 2.0 §5.1
STDIN, STDOUT = 0, 1


def serve(stage: Stage) -> bool:
    """Answer until stdin ends, then say at once what was still to come. Whether the client listened to the end."""
    heard: queue.Queue[Frame | None] = queue.Queue()
    threading.Thread(target=_listen, args=(heard,), daemon=True).start()
    stage.begin(time.monotonic())
    try:
        while (frame := _next(heard, stage)) is not None:
            _hear(stage, frame)
            _say(stage.due(time.monotonic()))
        _say(stage.due(float("inf")))
    except BrokenPipeError:
        return False
    return True


def _listen(heard: queue.Queue[Frame | None]) -> None:
    """In a thread of its own: frames from stdin, then `None`."""
    splitter = FrameSplitter()
    with contextlib.suppress(OSError):  # a terminal that hung up has ended as well
        while chunk := os.read(STDIN, READ_BYTES):
            for frame in splitter.feed(chunk):
                heard.put(frame)
    if last := splitter.flush():
        heard.put(last)
    heard.put(None)


def _next(heard: queue.Queue[Frame | None], stage: Stage) -> Frame | None:
    """The next line from the client; what is due meanwhile is said."""
    while True:
        now = time.monotonic()
        _say(stage.due(now))
        due = stage.next_due
        try:
            return heard.get(timeout=None if due is None else min(max(0.0, due - now), LONGEST_WAIT_SECONDS))
        except queue.Empty:
            continue


def _hear(stage: Stage, frame: Frame) -> None:
    if not frame.strip():
        return
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        _complain(PARSE_ERROR, "this line is no JSON")
        return
    for one in message if isinstance(message, list) else [message]:  # of a batch, each is answered by itself
        if isinstance(one, dict) and isinstance(one.get("method", ""), str):
            stage.hear(one, time.monotonic())
        else:
            _complain(INVALID_REQUEST, "this is no message of JSON-RPC")


def _complain(code: int, words: str) -> None:
    _say([json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": words}}).encode()])


def _say(lines: list[bytes]) -> None:
    for line in lines:
        rest = memoryview(line + b"\n")
        while rest:
            rest = rest[os.write(STDOUT, rest) :]
