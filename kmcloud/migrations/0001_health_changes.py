"""When a part of the service became well or ill."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="HealthChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(editable=False, max_length=40)),
                ("status", models.CharField(editable=False, max_length=12)),
                ("detail", models.CharField(editable=False, max_length=300)),
                ("at", models.DateTimeField(db_index=True, editable=False)),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["name", "-id"], name="health_newest")],
            },
        ),
    ]
