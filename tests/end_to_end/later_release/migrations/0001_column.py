"""A column of the table of all events: a lock that excludes everybody, for a moment."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("events", "0002_partitions")]
    operations: ClassVar = [migrations.RunSQL("ALTER TABLE events_event ADD COLUMN IF NOT EXISTS later text")]
