"""What the person chose, as it stands now: the settings and the key, read again whenever their files change.

The agent works for every session of this user, so variables of the one that happened to start it do not count; a run
that was given a key or an address of its own carries them in its `session.json`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from km_protocol.api_keys import ApiKey

from km_client import config, credentials, paths
from km_client.agent.delivery import Destination
from km_client.agent.redaction import RedactionRules
from km_client.capture.spool import Session
from km_client.config import Config
from km_client.errors import ClientError

LOOK_SECONDS = 1.0
RETRY_SECONDS = 15.0  # a keyring that was locked is unlocked without any file changing
NO_KEY = "no API key: run `km-client login`"


class Choices(NamedTuple):
    """`config` is `None` while `config.toml` is wrong: then nothing is understood, logged or shipped, because a
    person's own redaction rules may be among what cannot be read. `key_problem` says why there is no `key`.
    """

    config: Config | None
    config_problem: str
    key: ApiKey | None
    key_problem: str

    @property
    def is_key_unread(self) -> bool:
        """Whether there is a key that could not be read."""
        return self.key is None and self.key_problem != NO_KEY

    @property
    def redaction(self) -> RedactionRules:
        assert self.config is not None
        return RedactionRules(self.config.redacts, self.config.patterns, self.config.allowed)

    def destination(self, session: Session) -> tuple[Destination | None, str]:
        """Where the session's events go, or why they stay here."""
        if session.local_only:
            return None, ""
        if session.api_key is None:
            key, problem = self.key, self.key_problem
        else:
            key, problem = _key(session.api_key, "this run's own key")
        url = session.api_url or (self.config.api_url if self.config else "")
        if key and not url.startswith(("http://", "https://")):
            return None, f"this run's server address is no http or https address: `{url}`"
        return (Destination(url.rstrip("/"), key), "") if key else (None, problem)


class ChoiceReader:
    """The files, looked at once a second; a key that could not be read is asked for again now and then."""

    def __init__(self) -> None:
        self._stamps: tuple[object, ...] = ()
        self._look_at = self._retry_at = 0.0
        self._current: Choices | None = None

    def current(self) -> Choices:
        """The choices now: the same object for as long as nothing changed."""
        now = time.monotonic()
        if self._current is None or now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            stamps = (_stamp(paths.config_file()), _stamp(paths.credentials_file()))
            is_due = self._current is not None and self._current.is_key_unread and now >= self._retry_at
            if self._current is None or stamps != self._stamps or is_due:
                self._stamps, self._retry_at = stamps, now + RETRY_SECONDS
                read = _read()
                self._current = self._current if read == self._current else read
        assert self._current is not None
        return self._current


def _read() -> Choices:
    settings, config_problem = None, ""
    try:
        settings = config.load(environment={})
    except ClientError as error:
        config_problem = error.message
    try:
        found = credentials.load(environment={})
    except ClientError as error:
        return Choices(settings, config_problem, None, error.message)
    return Choices(settings, config_problem, found.api_key if found else None, "" if found else NO_KEY)


def _key(text: str, source: str) -> tuple[ApiKey | None, str]:
    try:
        return credentials.parse(text, source), ""
    except ClientError as error:
        return None, error.message


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
