"""What this machine holds of one account, as it counts at the moment somebody asks. For any thread; nothing waits.

    holding = Holding(store, machine, clock)       what was kept is verified again
    holding.adopt(fresh); holding.now() → Entitled(…); holding.token("api-logger") → "eyJ…"

The floor, the newest signed time seen, only ever grows, so a clock set back below it allows nothing. A lease that was
seen to end stays ended, wherever the clock is put afterwards: only a new one from the server counts again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from typing import NamedTuple

import msgspec
from km_plugin_sdk.errors import TokenError
from km_plugin_sdk.tokens import read_lease
from km_protocol.claims import Lease, LeaseState

from km_client.entitlement.conversation import Ended, Fresh, Granted
from km_client.entitlement.entitled import Entitled, entitled
from km_client.entitlement.lease_store import Kept, LeaseStore
from km_client.entitlement.plugin_tokens import PluginIdentity, PluginToken

_log = logging.getLogger(__name__)


class _Seen(NamedTuple):
    """What a plugin could notice; when it differs, the generation grows."""

    entitled: Entitled
    tokens: tuple[tuple[PluginIdentity, str], ...]


class Holding:
    """The lease, the keys and the tokens of one account."""

    def __init__(self, store: LeaseStore, machine: str, clock: Callable[[], float]) -> None:
        self.store = store
        self._machine = machine
        self._clock = clock
        self._lock = threading.RLock()
        self._wanted: frozenset[PluginIdentity] = frozenset()
        self._tokens: dict[PluginIdentity, PluginToken] = {}
        self._kept, self._lease = _verified(store.load())
        self._is_saved = True
        self._generation = 0
        self._seen = self._look()

    @property
    def kept(self) -> Kept:
        return self._kept

    @property
    def lease(self) -> Lease | None:
        """The last lease, whether or not it allows anything."""
        return self._lease

    @property
    def generation(self) -> int:
        """Grows when what `now` or `token` says has changed since it was last asked."""
        with self._lock:
            seen = self._look()
            if seen != self._seen:
                self._seen = seen
                self._generation += 1
            return self._generation

    def now(self) -> Entitled:
        """What holds now."""
        with self._lock:
            at = self._clock()
            found = entitled(self._lease, self._kept, at=at, machine=self._machine)
            if found.state is LeaseState.EXPIRED and self._kept.ended is None:
                self._keep(ended=LeaseState.EXPIRED)
            return found

    def want(self, identities: Collection[PluginIdentity]) -> None:
        """Whose tokens to hold; the others are dropped."""
        with self._lock:
            self._wanted = frozenset(identities)
            self._tokens = {one: token for one, token in self._tokens.items() if one in self._wanted}

    def token(self, name: str) -> str:
        """A living token of the plugin `name`, or an empty text. Of several versions, it is the last one's."""
        with self._lock:
            at = self._clock()
            living = [(one, token) for one, token in self._tokens.items() if one.name == name and token.lives(at=at)]
            return max(living)[1].text if living else ""

    def needs_renewal(self, identity: PluginIdentity) -> bool:
        """Whether its token is more than half spent, or is not there."""
        token = self._tokens.get(identity)
        return token is None or token.is_half_spent(at=self._clock())

    def adopt(self, fresh: Fresh) -> bool:
        """Believe a new lease. Whether it allows anything else than the one before, so that tokens are out of date."""
        with self._lock:
            before, self._lease = self._lease, fresh.lease
            was_ended = self._kept.ended is not None
            self._keep(
                lease=fresh.text,
                keys=fresh.keys,
                customer_id=fresh.lease.sub,
                seq=fresh.lease.seq,
                floor=max(self._kept.floor, fresh.lease.iat),
                fetched_at=self._clock(),
                ended=None,
                reason="",
            )
            return was_ended or before is None or _grants(before) != _grants(fresh.lease)

    def end(self, ended: Ended) -> None:
        """Believe that the key counts no more."""
        with self._lock:
            self._tokens.clear()
            if (self._kept.ended, self._kept.reason) != ended:
                self._keep(ended=ended.state, reason=ended.reason)

    def hold_token(self, identity: PluginIdentity, granted: Granted) -> None:
        with self._lock:
            if identity in self._wanted:
                self._tokens[identity] = granted.token
            floor = max(self._kept.floor, granted.token.iat)
            if (floor, granted.keys) != (self._kept.floor, self._kept.keys):
                self._keep(floor=floor, keys=granted.keys)

    def save(self) -> None:
        """Write down what changed. On the account's thread: a disk may be slow."""
        with self._lock:
            kept, is_saved, self._is_saved = self._kept, self._is_saved, True
        if not is_saved:
            self.store.save(kept)

    def _keep(self, **changed: object) -> None:
        self._kept = msgspec.structs.replace(self._kept, **changed)
        self._is_saved = False

    def _look(self) -> _Seen:
        """`now` without what changes at every refresh and means nothing: the lease's text, and that one is due."""
        now = self.now()
        state = LeaseState.VALID if now.state is LeaseState.REFRESH_DUE else now.state
        at = self._clock()
        tokens = tuple((one, token.text) for one, token in sorted(self._tokens.items()) if token.lives(at=at))
        return _Seen(now._replace(lease="", state=state), tokens)


def _grants(lease: Lease) -> tuple[object, ...]:
    return lease.status, lease.tier, sorted(lease.features), lease.plugins


def _verified(kept: Kept) -> tuple[Kept, Lease | None]:
    """What was kept, with its lease if that is genuine; seq and floor count in any case."""
    if not kept.lease:
        return kept, None
    try:
        lease = read_lease(kept.lease, keys=kept.keys, customer_id=kept.customer_id)
    except TokenError as error:
        _log.warning("the lease that was kept is ignored: %s", error)
        return Kept(seq=kept.seq, floor=kept.floor, ended=kept.ended, reason=kept.reason), None
    floor, seq = max(kept.floor, lease.iat), max(kept.seq, lease.seq)
    return msgspec.structs.replace(kept, floor=floor, seq=seq), lease
