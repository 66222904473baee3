"""Pages of a customer's API keys."""

from __future__ import annotations

from typing import Annotated

import msgspec

from core import paging
from customers import api_keys
from customers.models import Customer
from customers.schemas import KeyPage, key_answer

RowNumber = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # what a bigint holds


def page(customer: Customer, limit: str | None, cursor: str | None) -> KeyPage:
    """One page, newest first. Raises `InvalidCursor`, `InvalidLimit`."""
    size = paging.parse_limit(limit)
    keys = api_keys.list_keys(customer).select_related("replaced_by")
    if cursor:
        keys = keys.filter(pk__lt=paging.decode(cursor, RowNumber))
    shown = paging.paginate(list(keys[: size + 1]), size, lambda key: key.pk)
    return KeyPage([key_answer(key) for key in shown.rows], shown.next)
