"""On PostgreSQL the events lie in partitions, one a UTC day. On SQLite nothing changes.

What an installation has already becomes the partition `events_event_before`, which ends with the day of the migration:
no row is copied but those (if any) that a client's wrong clock dated later. PostgreSQL reads the table once to be sure,
and holds it meanwhile: about a minute for 20 GB. The partitions of days are made after every `migrate`, and every hour.
"""

from datetime import UTC, datetime, timedelta

from django.db import migrations
from django.utils.timezone import now

_LZ4 = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
_NAMES = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND tablename = %s"
_INDEXES = (
    "ALTER TABLE events_event ADD CONSTRAINT events_event_pkey PRIMARY KEY (customer_id, id)",
    "CREATE INDEX events_by_session ON events_event (customer_id, session_id, sequence)",
    "CREATE INDEX events_by_correlation ON events_event (customer_id, correlation_id) WHERE NOT (correlation_id = '')",
    "CREATE INDEX events_by_time ON events_event USING brin (timestamp)",
)


def partition(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_event RENAME TO events_event_before")
        cursor.execute(_NAMES, ["events_event_before"])
        for (name,) in cursor.fetchall():
            cursor.execute(f"ALTER INDEX {name} RENAME TO {name}_before")
        cursor.execute(
            "CREATE TABLE events_event (LIKE events_event_before INCLUDING DEFAULTS INCLUDING STORAGE) "
            "PARTITION BY RANGE (id)"
        )
        cursor.execute(_LZ4)
        if cursor.fetchone()[0]:  # a server built without it keeps its own
            cursor.execute("ALTER TABLE events_event ALTER COLUMN message SET COMPRESSION lz4")
        for statement in _INDEXES:
            cursor.execute(statement)
        cursor.execute("CREATE TABLE events_event_default PARTITION OF events_event DEFAULT")
        _keep(cursor)
        for table in ("events_inboxentry", "events_quarantinedentry"):  # bodies arrive compressed: do not try again
            cursor.execute(f"ALTER TABLE {table} ALTER COLUMN body SET STORAGE EXTERNAL")


def _keep(cursor):
    """The rows of before as a partition of their own; without any, nothing."""
    cursor.execute("SELECT EXISTS (SELECT FROM events_event_before)")
    if not cursor.fetchone()[0]:
        cursor.execute("DROP TABLE events_event_before")
        return
    end = _first_id(now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1))
    cursor.execute(
        "WITH later AS (DELETE FROM events_event_before WHERE id >= %s RETURNING *) "
        "INSERT INTO events_event SELECT * FROM later",
        [end],
    )
    cursor.execute("ALTER TABLE events_event ATTACH PARTITION events_event_before FOR VALUES FROM (MINVALUE) TO (%s)", [end])


def _first_id(moment):
    """As `events.event_ids.first_id`: 48 bits of milliseconds, then the lowest that a UUIDv7 can have."""
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    number = f"{milliseconds:012x}70008000000000000000"
    return "-".join((number[:8], number[8:12], number[12:16], number[16:20], number[20:]))


def unpartition(apps, schema_editor):
    """Back into one table, rows and all; copies them."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("CREATE TABLE events_event_whole (LIKE events_event INCLUDING DEFAULTS INCLUDING STORAGE)")
        cursor.execute("INSERT INTO events_event_whole SELECT * FROM events_event")
        cursor.execute("DROP TABLE events_event")
        cursor.execute("ALTER TABLE events_event_whole RENAME TO events_event")
        for statement in _INDEXES[:-1]:
            cursor.execute(statement)


class Migration(migrations.Migration):

    dependencies = [("events", "0001_initial")]

    operations = [migrations.RunPython(partition, unpartition)]
