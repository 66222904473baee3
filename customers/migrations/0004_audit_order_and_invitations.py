"""The order of a chain as an index, made beside the writers on PostgreSQL; and the table of invitations."""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import core.clock
import customers.models


class AddIndexBesideWriters(AddIndexConcurrently):
    """`CONCURRENTLY` where there is such a thing."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        else:
            migrations.AddIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)
        else:
            migrations.AddIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("customers", "0003_chain_audit_entries")]

    operations = [
        AddIndexBesideWriters(
            model_name="auditentry",
            index=models.Index(fields=["customer_public_id", "number"], name="audit_chain_order"),
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "public_id",
                    models.CharField(
                        default=customers.models.new_invitation_id, editable=False, max_length=32, unique=True
                    ),
                ),
                ("organisation", models.CharField(blank=True, max_length=120)),
                ("email", models.CharField(max_length=150)),
                (
                    "role",
                    models.CharField(
                        choices=[("owner", "owner"), ("admin", "admin"), ("member", "member"), ("viewer", "viewer")],
                        max_length=6,
                    ),
                ),
                ("digest", models.CharField(editable=False, max_length=64)),
                ("sent", models.PositiveSmallIntegerField(default=1, editable=False)),
                ("invited_by", models.CharField(editable=False, max_length=160)),
                ("created_at", models.DateTimeField(default=core.clock.now, editable=False)),
                ("expires_at", models.DateTimeField(editable=False)),
                ("accepted_at", models.DateTimeField(editable=False, null=True)),
                ("revoked_at", models.DateTimeField(editable=False, null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to="customers.customer",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("accepted_at", None), ("revoked_at", None)),
                        fields=("customer", "email"),
                        name="one_open_invitation_each",
                    )
                ],
            },
        ),
    ]
