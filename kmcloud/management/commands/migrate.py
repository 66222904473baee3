"""`manage.py migrate`: Django's, which never makes a running service wait for long.

A change of a table needs a lock that excludes everybody, and whoever asks for a lock makes all others queue behind it:
a migration that waits for a report of minutes, or for `pg_dump`, would stop ingestion for as long. So on PostgreSQL a
statement here waits `LOCK_SECONDS` for a lock at most; then its migration is undone, those who wait go on, and it is
tried again, `TRIES` times.

A migration that builds an index `CONCURRENTLY` holds up nobody while it waits, and would leave half an index behind: it
begins with `SET lock_timeout = 0` and ends with what it was. Not through PgBouncer in transaction mode, where the next
statement has another session; migrations never are.
"""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections

LOCK_SECONDS = 2.0  # how long requests may stand behind it; they have `Retry-After`, and clients wait ten
TRIES = 60
PAUSE_SECONDS = 1.0  # for those who stood behind it


class Command(migrate.Command):
    """Django's, with patience that ends."""

    def handle(self, *arguments: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*arguments, **options)
            return
        connection.close()
        connection.settings_dict["OPTIONS"].pop("answer_seconds", None)  # a migration takes the time it takes
        try:
            for left in reversed(range(TRIES)):
                with connection.cursor() as cursor:  # each time: a migration may have set another one
                    cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
                if self._has_migrated(arguments, options, left):
                    break
        finally:
            connection.close()  # and with it the session

    def _has_migrated(self, arguments: tuple[Any, ...], options: dict[str, Any], left: int) -> bool:
        try:
            super().handle(*arguments, **options)
        except OperationalError as error:
            from psycopg.errors import DeadlockDetected, LockNotAvailable  # noqa: PLC0415 - not on SQLite

            if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                raise
            if not left:
                raise CommandError(
                    f"a table is in use all the time: {error}"
                    "what is done so far stays done; end what uses it (pg_stat_activity names it) and migrate again"
                ) from None
            self.stderr.write(f"a table is in use, tried again in {PAUSE_SECONDS:g} s ({left} times more)")
            time.sleep(PAUSE_SECONDS)
            return False
        return True
