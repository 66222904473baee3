"""One `monitor` run, from the moment its server has been started to its exit code.

Loaded while the server starts: everything that takes time to import stands behind this module.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from km_client import paths
from km_client.capture import cap
from km_client.capture.journal import SEGMENT_BYTES
from km_client.capture.recording import Recording
from km_client.errors import ClientError
from km_client.pinning import choice
from km_client.proxy.housekeeping import Housekeeper

if TYPE_CHECKING:
    from km_client.proxy.held_channel import Hold

if sys.platform == "win32":
    from km_client.proxy.windows import ServerProcess, relay
else:
    from km_client.proxy.relay import relay
    from km_client.proxy.server_process import ServerProcess

Say = Callable[[str], None]
"""Tells a person one line; never blocks."""

AGENT_SECONDS = 1.0  # the longest that the exit of a very short session is held up, so that somebody ships it
SIGNALLED = 128  # + the signal: what a shell says of a program that a signal ended


def run(server: ServerProcess, run_id: str, description: Mapping[str, object], *, say: Say, debug: Say) -> int:
    """Relay and record until the server has ended. Returns the exit code that tells how it ended."""
    journal_dir = journal_directory(say)
    housekeeper = Housekeeper(journal_dir, bytes_from("KM_JOURNAL_CAP_BYTES", cap.CAP_BYTES, say), say)
    recording = Recording(
        journal_dir / run_id,
        description,
        on_failure=lambda error: say(failure_text(error)),
        on_rotation=housekeeper.wake,
        segment_bytes=bytes_from("KM_JOURNAL_SEGMENT_BYTES", SEGMENT_BYTES, say),
    )
    recording.start()
    housekeeper.start()
    debug(f"session {run_id}: the server is process {server.pid}, recording in {recording.directory}")
    gc.disable()  # the loop makes no cycles; a collection would only hold up a message
    ended = relay(server, recording, _hold(description, say))
    code, signal = (ended, None) if ended >= 0 else (None, -ended)
    recording.finish(exit_code=code, signal=signal, unix_ns=time.time_ns())
    housekeeper.wait_for_agent(AGENT_SECONDS)
    counts = f"{recording.request.records} chunks in, {recording.response.records} out"
    debug(f"session {run_id}: {counts}; the server ended with {f'signal {signal}' if signal else f'exit code {code}'}")
    return ended if ended >= 0 else SIGNALLED - ended


def _hold(description: Mapping[str, object], say: Say) -> Hold | None:
    """What holds changed tools, if that is wanted."""
    if not choice.holds(say):
        return None
    from km_client.pinning.pins import identity_of  # noqa: PLC0415 - only where it is wanted
    from km_client.proxy.held_channel import Hold  # noqa: PLC0415

    return Hold(identity_of(description), say)


def failure_text(error: OSError) -> str:
    """What a person is told when recording fails."""
    place = f" ({error.filename})" if error.filename else ""
    return f"cannot record: {error.strerror or error}{place}; the stream goes on, and what is missed is counted"


def journal_directory(say: Say) -> Path:
    """Where to record; if nobody knows, a place where nothing can be."""
    try:
        return paths.journal_dir()
    except ClientError as error:
        say(f"cannot record: {error.message}; {error.hint}")
        return Path(os.devnull) / "journal"  # no directory can be made there: the losses are counted as any others


def bytes_from(variable: str, default: int, say: Say) -> int:
    """A size from the environment; what is none is said and not used."""
    text = os.environ.get(variable, "")
    if text and not (text.isascii() and text.isdigit() and int(text) > 0):
        say(f"{variable} must be a number of bytes, not `{text}`; using {default}")
        return default
    return int(text) if text else default
