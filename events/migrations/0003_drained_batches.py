"""The ledger of what came from a broker (`DrainedBatch`): new and empty, so nothing waits for it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("events", "0002_partitions")]

    operations = [
        migrations.CreateModel(
            name="DrainedBatch",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_index=True)),
            ],
            options={"verbose_name_plural": "drained batches"},
        ),
    ]
