"""kombu's filesystem broker, made safe to read while somebody writes.

kombu makes a message's file, then fills it: a worker that looks in between takes an empty file for a message, and dies
of it. Here a message appears under its name when it is whole, and what a killed process left half written is passed
over. `install()` puts this in the place of kombu's own for every `filesystem:` address.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads


class Channel(filesystem.Channel):
    """Messages are files named `<milliseconds>_<uuid>.<queue>.msg`, as kombu names them."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]  # kombu passes options too
        directory = Path(self.data_folder_out)
        draft = directory / f"{os.getpid()}-{threading.get_ident()}.part"  # the next message overwrites a lost one
        draft.write_text(dumps(payload))
        draft.replace(directory / f"{time.monotonic_ns() // 1_000_000}_{uuid.uuid4()}.{queue}.msg")

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002 - kombu's signature
        for path in sorted(Path(self.data_folder_in).glob(f"*.{queue}.msg")):
            claimed = path.with_suffix(f".{os.getpid()}")
            # Another worker may have been first; a half message is a wake-up of a killed process, and others come.
            with contextlib.suppress(FileNotFoundError, ValueError):
                path.rename(claimed)
                text = claimed.read_bytes()
                claimed.unlink()
                return loads(text)
        raise Empty


class Transport(filesystem.Transport):
    """kombu's, with the channel above."""

    Channel = Channel


def install() -> None:
    """Use it for `filesystem:` from now on."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:{Transport.__name__}"
