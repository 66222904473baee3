"""The access token that a key was exchanged for: asked for once, used until shortly before it ends."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from km_client.agent.api import Api, token_in
from km_client.agent.verdict import Forbidden, Later, Unauthorized, judge

MARGIN_SECONDS = 30.0  # clocks differ, and a token should outlive the request it starts


class Access:
    """One key's token."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._token = ""
        self._until = 0.0

    def token(self) -> str | Unauthorized | Forbidden | Later:
        """A token that is good for a while, or why there is none. Raises `UnreachableError`."""
        if self._token and time.monotonic() < self._until:
            return self._token
        answer = self._api.exchange()
        token = token_in(answer)
        if token is not None:
            self._token = token.jwt
            self._until = time.monotonic() + max(token.lives_seconds - MARGIN_SECONDS, 1.0)
            return self._token
        verdict = judge(answer, sent=0, now=datetime.now(UTC))
        if isinstance(verdict, Unauthorized | Forbidden | Later):
            return verdict
        return Later(f"the server gave no token for the key: {answer.error()[1] or answer.status}")

    def forget(self) -> None:
        """The server did not accept it."""
        self._token = ""
