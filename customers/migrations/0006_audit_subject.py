"""The audit log by what an entry is about: the history on a revision's page. Made beside the writers on PostgreSQL."""

from importlib import import_module

from django.db import migrations, models

_ORDER = import_module("customers.migrations.0004_audit_order_and_invitations")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("customers", "0005_machines")]

    operations = [
        _ORDER.AddIndexBesideWriters(
            model_name="auditentry", index=models.Index(fields=["subject"], name="audit_subject")
        )
    ]
