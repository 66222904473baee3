"""Columns of the audit chain, with defaults a process of the release before can live with while it still runs."""

from django.db import migrations, models

import customers.audit_chain


class Migration(migrations.Migration):
    dependencies = [("customers", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="AuditChain",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(blank=True, editable=False, max_length=32, unique=True)),
                ("entries", models.PositiveBigIntegerField(default=0, editable=False)),
                ("head", models.CharField(default=customers.audit_chain.GENESIS, editable=False, max_length=64)),
            ],
        ),
        migrations.AddField(
            model_name="auditentry",
            name="number",
            field=models.PositiveBigIntegerField(
                db_default=0, editable=False, help_text="Its place in its chain, from 1."
            ),
        ),
        migrations.AddField(
            model_name="auditentry",
            name="previous",
            field=models.CharField(db_default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="auditentry",
            name="hash",
            field=models.CharField(db_default="", editable=False, max_length=64),
        ),
    ]
