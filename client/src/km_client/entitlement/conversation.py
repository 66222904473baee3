"""What the server says about one account, each answer judged and verified before anyone believes it.

    conversation.lease(kept, at=now)           → Fresh(text, lease, keys) | Ended(REVOKED, "…was revoked") | Failed("…")
    conversation.token(identity, kept, at=now) → Granted(token, keys) | Ended(…) | Failed("…")

A lease must be signed by a key of the server's set, be this customer's and this machine's, and not be older than one
already seen. The key set is fetched when a signature names a key that is not known yet; if the new set does not have it
either, the signature is refused. Two kinds of no are told apart:

- The server *has spoken*: the key was revoked, has expired, or its customer is suspended (401 with that code). What it
  paid for ends at once: this is what those who revoke a stolen key, or stop paying, expect.
- The server *could not be asked*, or what answers does not know the key (a wrong address, a restored database, a
  portal in between): what was signed counts until its end. Nobody loses what they paid for to a broken network.

The API key is what the server is asked with, and it stands in nothing that is returned, logged or kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from km_plugin_sdk.errors import TokenError
from km_plugin_sdk.tokens import read_lease
from km_protocol.api_keys import display
from km_protocol.claims import Lease, LeaseState

from km_client import paths
from km_client.agent.api import Answer, Api, UnreachableError
from km_client.agent.delivery import Destination
from km_client.agent.verdict import Forbidden, Invalid, Later, Unauthorized, judge
from km_client.entitlement.lease_store import Kept
from km_client.entitlement.plugin_tokens import PluginIdentity, PluginToken, prove

ENDINGS = {
    "revoked_api_key": LeaseState.REVOKED,
    "expired_api_key": LeaseState.REVOKED,
    "customer_suspended": LeaseState.SUSPENDED,
}
NOT_OURS = "the server answered 200 but not as Kilometers does: is a proxy or a login page in between?"
MAX_KEY_SET_BYTES = 64 * 1024
MAX_REASON_CHARACTERS = 300  # one line of `doctor`; a server's page of HTML is none


class Fresh(NamedTuple):
    """A lease that was just given, and the key set that verifies it."""

    text: str
    lease: Lease
    keys: str


class Granted(NamedTuple):
    """A token that was just given, and the key set that verifies it."""

    token: PluginToken
    keys: str


class Ended(NamedTuple):
    """The server has spoken: this key counts no more."""

    state: LeaseState
    reason: str


class Failed(NamedTuple):
    """Nothing was learned. `needs_person`: asking again soon is of no use."""

    reason: str
    retry_after: float | None = None
    needs_person: bool = False


class RefusedError(Exception):
    """What the server gave is not believed; `str(error)` says why."""


class Conversation:
    """One server, one key, one machine. Not for two threads."""

    def __init__(self, destination: Destination, machine: str) -> None:
        self._key = destination.key
        self._machine = machine
        self._api = Api(destination.url, destination.key)

    def close(self) -> None:
        self._api.close()

    def lease(self, kept: Kept, *, at: float) -> Fresh | Ended | Failed:
        """Ask what the account may use now."""
        try:
            answer = self._api.subscription_status(self._key, self._machine)
            return self._fresh(answer, kept) if answer.status == 200 else self._judged(answer, at)
        except (UnreachableError, RefusedError) as error:
            return Failed(self._clean(str(error)))

    def token(self, identity: PluginIdentity, kept: Kept, *, at: float) -> Granted | Ended | Failed:
        """Ask for a plugin's token."""
        try:
            answer = self._api.authenticate_plugin(
                self._key,
                name=identity.name,
                version=identity.version,
                signature=identity.signature,
                customer_id=kept.customer_id,
            )
            if answer.status == 200:
                return self._granted(answer, identity, kept, at)
            said = self._judged(answer, at)
        except (UnreachableError, RefusedError) as error:
            return Failed(self._clean(str(error)))
        is_final = answer.status in {400, 404, 405, 409, 410, 422}  # this plugin, or a server that knows no plugins
        return said._replace(needs_person=True) if isinstance(said, Failed) and is_final else said

    def tell(self, told: Mapping[str, object]) -> bool:
        """Say what `told` is true of this machine. Whether the server took it; it is asked for no reason otherwise."""
        try:
            return self._api.report_machine(self._key, {**told, "machine": self._machine}).status == 200
        except UnreachableError:
            return False

    def _fresh(self, answer: Answer, kept: Kept) -> Fresh:
        text, customer_id = answer.field("lease"), answer.field("customer_id")
        if not isinstance(text, str) or not isinstance(customer_id, str):
            raise RefusedError(NOT_OURS)
        customer_id = kept.customer_id or customer_id  # a key never moves to another customer
        try:
            lease = read_lease(text, keys=kept.keys, customer_id=customer_id)
            keys = kept.keys
        except TokenError as error:
            keys = self._newer_keys(error)
            lease = _read_lease(text, keys, customer_id)
        self._check(lease, kept)
        return Fresh(text, lease, keys)

    def _check(self, lease: Lease, kept: Kept) -> None:
        if lease.seq < kept.seq:
            raise RefusedError(
                f"the server gave lease {lease.seq}, which is older than lease {kept.seq} was; if it was restored from "
                f"a backup, delete {paths.leases_dir()}"
            )
        if lease.machine and lease.machine != self._machine:
            raise RefusedError("the server gave a lease that is another machine's")

    def _granted(self, answer: Answer, identity: PluginIdentity, kept: Kept, at: float) -> Granted:
        text = answer.field("token")
        if not isinstance(text, str):
            raise RefusedError(NOT_OURS)
        try:
            token = prove(text, identity=identity, keys=kept.keys, customer_id=kept.customer_id, at=at)
            return Granted(token, kept.keys)
        except TokenError as error:
            keys = self._newer_keys(error)
        try:
            return Granted(prove(text, identity=identity, keys=keys, customer_id=kept.customer_id, at=at), keys)
        except TokenError as error:
            raise RefusedError(f"the server gave a token that is refused: {error}") from None

    def _newer_keys(self, error: TokenError) -> str:
        """The server's key set, if it may help with what `error` says of the one at hand."""
        if error.reason not in {"unknown_key", "bad_keys"}:
            raise RefusedError(f"what the server signed is refused: {error}") from None
        answer = self._api.key_set()
        if answer.status != 200 or not isinstance(answer.field("keys"), list) or len(answer.body) > MAX_KEY_SET_BYTES:
            raise RefusedError(f"the server's keys cannot be had: it answered {answer.status}")
        return msgspec.json.encode({"keys": answer.field("keys")}).decode()

    def _judged(self, answer: Answer, at: float) -> Ended | Failed:
        """What an answer other than 200 means."""
        code, message, _ = answer.error()
        if answer.status == 401 and code in ENDINGS:
            return Ended(ENDINGS[code], self._clean(message or code))
        verdict = judge(answer, sent=0, now=datetime.fromtimestamp(at, UTC))
        match verdict:
            case Unauthorized(reason) | Forbidden(reason):
                return Failed(self._clean(reason), needs_person=True)
            case Later(reason, least):
                return Failed(self._clean(reason), least)
            case Invalid(refusal):
                return Failed(self._clean(refusal.message))
            case _:
                return Failed(f"the server answered {answer.status}")

    def _clean(self, text: str) -> str:
        """A server's words, in one line, without the key even if it repeats it."""
        known = text.replace(self._key, f"{display(self._key)}…")
        printable = "".join(one if one.isprintable() else " " for one in known)
        return " ".join(printable.split())[:MAX_REASON_CHARACTERS]


def _read_lease(text: str, keys: str, customer_id: str) -> Lease:
    try:
        return read_lease(text, keys=keys, customer_id=customer_id)
    except TokenError as error:
        raise RefusedError(f"the server gave a lease that is refused: {error}") from None
