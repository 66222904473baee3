"""Django's PostgreSQL backend, whose every wait for the server ends.

    DATABASES = {"default": {"ENGINE": "core.postgresql", "OPTIONS": {"answer_seconds": 8.0, "connect_timeout": 2}}}

A server that was stopped, whose disk hangs, or behind which a pooler waits takes connections and statements and never
answers: TCP is well, so neither keepalives nor `tcp_user_timeout` notice, and its own `statement_timeout` stands still
with it. Here a statement (or a commit) without an answer after `answer_seconds` is cancelled, its connection closed,
and `OperationalError` raised, which requests answer with 503. A server that does not take the cancellation either
hangs: then for some seconds (`core.breaker`) nobody in this process waits for it, and one at a time tries again.

Nothing is set in the session, so PgBouncer may stand between in any of its modes. Without `answer_seconds` a statement
may take as long as it takes: a migration does.
"""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from django.db.backends.postgresql import base
from psycopg import errors
from psycopg.abc import PQGen

from core.breaker import Breaker

CANCEL_SECONDS = 1.0  # a server that lives takes a cancellation in milliseconds, however busy it is
INTERVAL_SECONDS = 0.1  # how often psycopg looks whether the time is up

Result = TypeVar("Result")

breaker = Breaker()


def _silent() -> psycopg.OperationalError:
    return psycopg.OperationalError("PostgreSQL did not answer a moment ago; it is asked again soon")


class PatientConnection(psycopg.Connection[Any]):
    """psycopg's. `answer_seconds` is how long one answer may take, `None` for ever."""

    answer_seconds: float | None = None

    def wait(self, gen: PQGen[Result], interval: float = INTERVAL_SECONDS, timeout: float | None = None) -> Result:
        """As psycopg's. Raises `OperationalError`, and closes the connection, when there is no answer in time."""
        if self.answer_seconds is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        if not breaker.allows():
            raise _silent()
        try:
            answer = super().wait(gen, interval, self.answer_seconds)
        except errors._WaitTimeout:
            self._give_up()
            raise psycopg.OperationalError(f"PostgreSQL did not answer in {self.answer_seconds:g} s") from None
        breaker.worked()
        return answer

    def _give_up(self) -> None:
        """Have the server, if it lives, drop what it does for us; leave nobody waiting for it, if it hangs."""
        try:
            self.cancel_safe(timeout=CANCEL_SECONDS)
        except psycopg.Error:
            breaker.failed()
        finally:
            self.close()


class _Psycopg:
    """The module as Django uses it: its errors, and `connect`."""

    connect = PatientConnection.connect

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, with the connection above."""

    Database = _Psycopg()  # type: ignore[assignment]  # a module is what Django has here

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params.pop("answer_seconds", None)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> PatientConnection:
        """A connection; raises `OperationalError` at once while the server is known not to answer."""
        if not breaker.allows():
            raise _silent()
        try:
            connection: PatientConnection = super().get_new_connection(conn_params)
        except errors.ConnectionTimeout:
            breaker.failed()
            raise
        breaker.worked()
        connection.answer_seconds = self.settings_dict["OPTIONS"].get("answer_seconds")
        return connection
