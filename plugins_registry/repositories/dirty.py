"""Marking a repository as changed: one row, in the transaction that changed it, and a wake-up once that is committed.

A mark takes the row's lock. Whoever publishes holds the same lock while it reads, so a change is either in what is
published or in the next mark, never between.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Coalesce

from core.clock import now
from customers.models import Customer
from plugins_registry.models import Block, RepositoryState, StateChange
from plugins_registry.repositories import wakeup
from plugins_registry.states import State

CATALOG = "catalog"
_NEARLY = frozenset({State.APPROVED, State.BUILDING})  # published as soon as the catalog lists them


def mark_dirty(customer: Customer) -> None:
    """What `customer` may run changed, or may have."""
    mark_names([customer.public_id])


def mark_catalog_dirty() -> None:
    """What is reviewed, or blocked, changed."""
    mark_names([CATALOG])


def mark_everyone_dirty() -> None:
    """What every customer may run changed: all directors there are, and the catalog."""
    with transaction.atomic():
        RepositoryState.objects.get_or_create(name=CATALOG)
        RepositoryState.objects.update(dirty_since=Coalesce("dirty_since", now()))
        wakeup.publish_on_commit()


def follow_revision(change: StateChange) -> None:
    """A hook of `publishing_hooks`: a transition that puts a revision on the shelf, or takes it off."""
    if State.PUBLISHED in {change.before, change.after}:
        mark_everyone_dirty()
    elif change.after in _NEARLY:
        wakeup.publish_on_commit()


def follow_block(_: Block) -> None:
    """A hook of `publishing_hooks`."""
    mark_everyone_dirty()


def mark_names(names: list[str]) -> None:
    """Mark repositories by their names: `catalog`, or customers' public ids."""
    moment = now()
    with transaction.atomic():
        RepositoryState.objects.bulk_create([RepositoryState(name=name) for name in names], ignore_conflicts=True)
        RepositoryState.objects.filter(name__in=names).update(dirty_since=Coalesce("dirty_since", moment))
        wakeup.publish_on_commit()
