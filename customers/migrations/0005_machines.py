"""The machines that clients report."""

import django.db.models.deletion
from django.db import migrations, models

import customers.machine_rows


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0004_audit_order_and_invitations"),
    ]

    operations = [
        migrations.CreateModel(
            name="Machine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "public_id",
                    models.CharField(
                        default=customers.machine_rows.new_machine_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("machine", models.CharField(editable=False, max_length=128)),
                ("name", models.CharField(blank=True, editable=False, max_length=80)),
                ("os", models.CharField(blank=True, editable=False, max_length=80)),
                ("platform", models.CharField(blank=True, editable=False, max_length=40)),
                ("client_version", models.CharField(blank=True, editable=False, max_length=40)),
                ("plugins", models.JSONField(default=list, editable=False)),
                ("key_id", models.CharField(blank=True, editable=False, max_length=32)),
                ("first_seen_at", models.DateTimeField(editable=False)),
                ("last_seen_at", models.DateTimeField(editable=False)),
                ("reported_at", models.DateTimeField(editable=False, null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="machines", to="customers.customer"
                    ),
                ),
            ],
            options={
                "ordering": ["-last_seen_at", "-id"],
                "indexes": [models.Index(fields=["customer", "-last_seen_at"], name="machine_last_seen")],
                "constraints": [models.UniqueConstraint(fields=("customer", "machine"), name="one_row_a_machine")],
            },
        ),
    ]
