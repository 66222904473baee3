"""The keys of events for a store that has no unique key of its own: new and empty, so nothing waits for it.

On PostgreSQL by UTC day like the events; the days' partitions are made by the store that needs them.
"""

from django.db import migrations, models


def partition(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("DROP TABLE events_eventkey")  # made a moment ago, in this transaction
        cursor.execute(
            "CREATE TABLE events_eventkey (customer_id bigint NOT NULL, id uuid NOT NULL, PRIMARY KEY (customer_id, id))"
            " PARTITION BY RANGE (id)"
        )
        cursor.execute("CREATE TABLE events_eventkey_default PARTITION OF events_eventkey DEFAULT")


class Migration(migrations.Migration):

    dependencies = [("events", "0003_drained_batches")]

    operations = [
        migrations.CreateModel(
            name="EventKey",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "customer_id", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("customer_id", models.BigIntegerField()),
                ("id", models.UUIDField()),
            ],
        ),
        migrations.RunPython(partition, migrations.RunPython.noop),
    ]
