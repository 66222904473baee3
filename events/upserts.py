"""The statement all counting rests on: make the row if it is missing, else add to it, in one step under its lock.

    adding(DailyUsage, ("customer_id", "day"), ("accepted", "stored"))
    → INSERT INTO events_dailyusage (customer_id, day, accepted, stored) VALUES (%s, %s, %s, %s)
      ON CONFLICT (customer_id, day) DO UPDATE SET
      accepted = events_dailyusage.accepted + excluded.accepted, stored = …

SQLite (3.24 or newer) and PostgreSQL spell it alike. Names come from models, never from data; values are parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db.models import Model

Value = int | float | str | bytes | None


def adding(model: type[Model], key: Sequence[str], sums: Sequence[str]) -> str:
    """An upsert whose parameters are the key's values, then what to add to each of `sums`."""
    table = model._meta.db_table
    return upsert(model, key, {name: f"{table}.{name} + excluded.{name}" for name in sums})


def upsert(model: type[Model], key: Sequence[str], changes: Mapping[str, str]) -> str:
    """An upsert whose parameters are the key's values, then those of `changes`: column → what it becomes."""
    columns = (*key, *changes)
    updates = ", ".join(f"{name} = {expression}" for name, expression in changes.items())
    return (
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "  # noqa: S608 - see the module's promise
        f"VALUES ({', '.join(['%s'] * len(columns))}) ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates}"
    )
