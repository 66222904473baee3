"""Finding a row by the id that people see, which is whatever somebody wrote into an address.

by_public_id(Rule.objects.filter(customer=customer), "rul_7Yd0…")    → the Rule, or None
"""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def by_public_id(rows: QuerySet[Row], public_id: str) -> Row | None:
    """The one of `rows` with that id, if there is such."""
    if not is_readable(public_id):
        return None
    return rows.filter(public_id=public_id).first()


def is_readable(public_id: str) -> bool:
    """Whether a database can be asked: PostgreSQL refuses to compare U+0000, and no id of ours holds it."""
    return public_id.isascii() and public_id.isprintable()
