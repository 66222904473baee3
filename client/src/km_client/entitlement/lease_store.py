"""What is kept of one account for the next start, with or without a network.

    {"lease": "eyJ…", "keys": "{\\"keys\\":[…]}", "customer_id": "cus_…", "seq": 42, "floor": 1795362000,
     "fetched_at": 1795362000.5, "ended": null, "reason": ""}

The file is replaced whole, and only its owner may read it. It is believed in nothing that is not signed: whoever loads
it verifies the lease again. A file that cannot be read is ignored and said so in the log; the server gives a new lease.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Annotated

import msgspec
from km_protocol.claims import LeaseState

from km_client import paths
from km_client.agent.delivery import Destination
from km_client.atomic_file import replace_file
from km_client.errors import ClientError

PRIVATE = 0o600
MAX_BYTES = 1024 * 1024  # a lease has at most 8 KiB and its keys 64
_log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """`floor` is the newest signed time seen and `seq` the newest lease's number: both only ever grow.

    `ended` says why the lease counts no more, whatever it says itself and whatever the clock shows, until the server
    gives another one: the server refused the key for good (`reason` is what it said), or the lease was seen to end.
    """

    lease: str = ""
    keys: str = ""
    customer_id: str = ""
    seq: Annotated[int, msgspec.Meta(ge=0)] = 0
    floor: Annotated[int, msgspec.Meta(ge=0)] = 0
    fetched_at: float = 0.0
    ended: LeaseState | None = None
    reason: str = ""


def place_of(destination: Destination) -> Path:
    """Where the lease of this server and key is kept. The name tells neither."""
    account = hashlib.sha256(f"{destination.url}|{destination.key}".encode()).hexdigest()
    return paths.leases_dir() / f"{account[:16]}.json"


class LeaseStore:
    """One file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""  # why it could not be written, if it could not

    def load(self) -> Kept:
        """What was saved last; nothing if there is no such file or it is damaged."""
        try:
            with self.path.open("rb") as file:
                return msgspec.json.decode(file.read(MAX_BYTES), type=Kept)
        except FileNotFoundError:
            return Kept()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _log.warning("%s is ignored: %s", self.path, error)
            return Kept()

    def save(self, kept: Kept) -> None:
        """Replace the file. Where that fails, the old one stays and `problem` says why."""
        try:
            replace_file(self.path, msgspec.json.encode(kept), mode=PRIVATE)
            self.problem = ""
        except ClientError as error:
            if not self.problem:
                _log.warning("the lease is good until the agent ends: %s", error.message)
            self.problem = error.message
