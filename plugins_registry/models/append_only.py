"""Rows that are written once: by this program they are never changed or deleted."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models

from customers.models import AppendOnlyError


class WriteOnceQuerySet(models.QuerySet[Any]):
    """Rows may be added and read."""

    def update(self, **_: Any) -> NoReturn:
        raise AppendOnlyError(f"{self.model._meta.verbose_name_plural} are never changed")

    def delete(self) -> NoReturn:
        raise AppendOnlyError(f"{self.model._meta.verbose_name_plural} are never deleted")


class AppendOnly(models.Model):
    """Whoever holds the database itself is kept out by the database's own means."""

    objects = WriteOnceQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None and not self._state.adding:
            raise AppendOnlyError(f"{self._meta.verbose_name_plural} are never changed")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise AppendOnlyError(f"{self._meta.verbose_name_plural} are never deleted")
