"""A column of the inbox, into which every request writes."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    dependencies: ClassVar = [("later_release", "0001_column")]
    operations: ClassVar = [migrations.RunSQL("ALTER TABLE events_inboxentry ADD COLUMN IF NOT EXISTS later text")]
