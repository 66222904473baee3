"""Indexes of live tables, built while everybody goes on writing."""

from typing import ClassVar

from django.db import migrations

BUILD = "CREATE INDEX CONCURRENTLY IF NOT EXISTS"


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar = [("later_release", "0002_inbox")]
    operations: ClassVar = [
        migrations.RunSQL("SET lock_timeout = 0"),
        migrations.RunSQL(f"{BUILD} later_inbox ON events_inboxentry (customer_id)"),
        migrations.RunSQL(f"{BUILD} later_session ON events_session (last_at)"),
        migrations.RunSQL("SET lock_timeout = '2s'"),
    ]
