"""The one table of the roof: when a part of the service became well or ill."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class HealthChange(models.Model):
    """A check of `/health` that says something else than before. Between two rows of a name, nothing changed."""

    name = models.CharField(max_length=40, editable=False)
    status = models.CharField(max_length=12, editable=False)
    detail = models.CharField(max_length=300, editable=False)
    at = models.DateTimeField(editable=False, db_index=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["name", "-id"], name="health_newest")]

    def __str__(self) -> str:
        return f"{self.name}: {self.status}"
