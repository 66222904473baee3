"""Other people's services beside ours: how fast they acknowledge and store, and what is left after `kill -9`.

Each runs as its own documentation says, on loopback and on its default SQLite, and gets as many messages of 600 bytes
in its own protocol: warm first, then `messages` until all are stored, then `messages` again and `kill -9` of all its
processes at the last acknowledgement. It is started again and given time; what it acknowledged and then does not have
is lost. One that cannot be installed or started is reported with its reason.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._peer_environment import PeerError
from benchmarks._peer_service import PeerService
from benchmarks._peers_bugsink import Bugsink
from benchmarks._peers_phoenix import Phoenix

CONNECTIONS = 8
ANSWER_SECONDS = 60.0
WARM_MESSAGES = 200
STORE_SECONDS = 180.0  # as long as it may take to store what it acknowledged
STILL_SECONDS = 10.0  # a store that has not grown for so long has everything it will have
POLL_SECONDS = 0.1


class Request(NamedTuple):
    """One POST and the ids in it."""

    ids: list[str]
    body: bytes


@dataclass
class Delivered:
    """What was acknowledged with 200, and how long all took."""

    ids: set[str] = field(default_factory=set)
    refused: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def per_second(self) -> int:
        return round(len(self.ids) / self.seconds)


def measure(directory: Path, *, messages: int) -> dict[str, Any]:
    """Every peer, by name."""
    return {name: _one(make, directory / name, messages) for name, make in PEERS.items()}


def _one(make: Callable[[Path], PeerService], directory: Path, messages: int) -> dict[str, Any]:
    directory.mkdir()
    try:
        peer = make(directory)
        print(f"  {peer.name} {peer.version} …", file=sys.stderr, flush=True)
        try:
            peer.start()
            return {"version": peer.version, "way": peer.way, **_measured(peer, messages)}
        finally:
            peer.kill_9()
    except (PeerError, OSError, http.client.HTTPException) as error:
        return {"not_measured_because": str(error)}


def _measured(peer: PeerService, messages: int) -> dict[str, Any]:
    warm = deliver(peer, WARM_MESSAGES)
    _stored_of(peer, warm.ids)
    begun = time.perf_counter()
    first = deliver(peer, messages)
    stored, stored_at = _stored_of(peer, first.ids)
    second = deliver(peer, messages)
    peer.kill_9()
    peer.start()
    left, _ = _stored_of(peer, second.ids)
    return {
        "messages": messages,
        "acked_events_per_s": first.per_second,
        "stored_events_per_s": round(stored / (stored_at - begun)),
        "stored_events": stored,
        "acked_before_kill_events": len(second.ids),
        "left_after_kill_events": left,
        "acknowledged_but_lost_events": len(second.ids) - left,
        "refused_requests": first.refused | second.refused,
    }


def deliver(peer: PeerService, messages: int) -> Delivered:
    """Send `messages` over several connections, each with one request under way, and count what is acknowledged."""
    made = [Request(*peer.request(count)) for count in _sizes(messages, peer.events_each)]
    result, mutex, waiting = Delivered(), threading.Lock(), iter(made)
    threads = [threading.Thread(target=_send, args=(peer, waiting, result, mutex)) for _ in range(CONNECTIONS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.seconds = time.perf_counter() - begun
    return result


def _sizes(messages: int, each: int) -> Sequence[int]:
    return [min(each, messages - done) for done in range(0, messages, each)]


def _send(peer: PeerService, waiting: Iterator[Request], result: Delivered, mutex: threading.Lock) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=ANSWER_SECONDS)
    while True:
        with mutex:
            request = next(waiting, None)
        if request is None:
            break
        status = _post(connection, peer, request.body)
        with mutex:
            if status == 200:
                result.ids.update(request.ids)
            else:
                result.refused[status] = result.refused.get(status, 0) + 1
    connection.close()


def _post(connection: http.client.HTTPConnection, peer: PeerService, body: bytes) -> int:
    """The status, or 0 when the connection failed."""
    try:
        connection.request("POST", peer.path, body, peer.headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0
    return response.status


def _stored_of(peer: PeerService, ids: set[str]) -> tuple[int, float]:
    """How many of `ids` it has in the end, and when it had them. Raises `PeerError` when there is no end to be seen."""
    have, grew_at = 0, time.perf_counter()
    begun = grew_at
    while have < len(ids):
        now, found = time.perf_counter(), len(ids & peer.stored_ids())
        if found > have:
            have, grew_at = found, now
        elif now - grew_at > STILL_SECONDS:
            break
        if now - begun > STORE_SECONDS:
            raise PeerError(f"had stored {have} of {len(ids)} after {STORE_SECONDS:.0f} s, and went on")
        time.sleep(POLL_SECONDS)
    return have, grew_at


PEERS: dict[str, Callable[[Path], PeerService]] = {"bugsink": Bugsink, "arize-phoenix": Phoenix}
