"""Logins of machines that a person confirms in a browser (RFC 8628)."""

import django.db.models.deletion
from django.db import migrations, models

import customers.device_rows


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0007_machine_redaction"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeviceGrant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "public_id",
                    models.CharField(
                        default=customers.device_rows.new_grant_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("device_digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("user_digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("client", models.CharField(blank=True, editable=False, max_length=80)),
                ("machine", models.CharField(blank=True, editable=False, max_length=128)),
                ("name", models.CharField(blank=True, editable=False, max_length=80)),
                ("os", models.CharField(blank=True, editable=False, max_length=80)),
                ("address", models.CharField(blank=True, editable=False, max_length=45)),
                ("scopes", models.JSONField(default=list, editable=False)),
                ("interval", models.PositiveSmallIntegerField(editable=False)),
                ("created_at", models.DateTimeField(editable=False)),
                ("expires_at", models.DateTimeField(db_index=True, editable=False)),
                ("polled_at", models.DateTimeField(editable=False, null=True)),
                ("decided_by", models.CharField(blank=True, editable=False, max_length=160)),
                ("approved_at", models.DateTimeField(editable=False, null=True)),
                ("denied_at", models.DateTimeField(editable=False, null=True)),
                ("redeemed_at", models.DateTimeField(editable=False, null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="customers.customer",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
    ]
