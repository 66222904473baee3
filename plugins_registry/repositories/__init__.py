"""What is published, to whom: the catalog everybody may read, and one repository (the director) for each customer.

    repositories.mark_dirty(customer)      inside the transaction that changed what the customer may run
    repositories.mark_everyone_dirty()     when a version was published, yanked or blocked
    repositories.mark_catalog_dirty()      when the catalog or the blocklist changed

The mark is a row, so it is true exactly when the change is. On commit a task of the queue `signing` publishes; when it
is lost, the next round does (`tasks`).
"""

from __future__ import annotations

from plugins_registry.repositories.dirty import (
    CATALOG,
    mark_catalog_dirty,
    mark_dirty,
    mark_everyone_dirty,
)

__all__ = ["CATALOG", "mark_catalog_dirty", "mark_dirty", "mark_everyone_dirty"]
