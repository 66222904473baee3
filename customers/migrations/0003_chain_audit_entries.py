"""Chain the audit entries that were written before there were chains, in the order they were written."""

from django.db import migrations

from customers.audit_chain import COLUMNS, GENESIS, hash_of

READ_AT_ONCE = 2000


def chain(apps, schema_editor):
    entries = apps.get_model("customers", "AuditEntry")._base_manager.using(schema_editor.connection.alias)
    chains = apps.get_model("customers", "AuditChain")._base_manager.using(schema_editor.connection.alias)
    ends = {}
    for row in entries.order_by("id").values(*COLUMNS).iterator(chunk_size=READ_AT_ONCE):
        key = row["customer_public_id"]
        number, previous = ends.get(key, (0, GENESIS))
        row |= {"number": number + 1, "previous": previous}
        row["hash"] = hash_of(row)
        entries.filter(pk=row["id"]).update(number=row["number"], previous=previous, hash=row["hash"])
        ends[key] = (row["number"], row["hash"])
    for key, (number, head) in ends.items():
        chains.update_or_create(key=key, defaults={"entries": number, "head": head})


class Migration(migrations.Migration):
    dependencies = [("customers", "0002_audit_chain")]

    operations = [migrations.RunPython(chain, migrations.RunPython.noop, elidable=False)]
