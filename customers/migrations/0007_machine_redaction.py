"""What machines say of their redaction."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customers", "0006_audit_subject")]

    operations = [
        migrations.AddField(
            model_name="machine", name="redaction", field=models.JSONField(editable=False, null=True)
        ),
    ]
