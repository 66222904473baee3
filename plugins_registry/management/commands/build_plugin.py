"""`manage.py build_plugin --plugin DIR --customer cus_… --api-key km_live_… --tier Pro --sign`: the guide's command.

Prints the guide's six steps and where the package is. Without `--sign` it is the payload alone, unsigned, for
`km-client monitor --plugin`. The API key proves that it is that customer's; it is not put into the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.clock import now
from core.errors import ApiError
from customers import api_keys, queries
from customers.models import Customer
from plugins_registry.building import kept_files, local
from plugins_registry.building.errors import BuildError


class Command(BaseCommand):
    help = "Build a plugin's package for one customer, on this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--plugin", required=True, help="the plugin's directory, or the name of one in plugins/")
        parser.add_argument("--customer", required=True, help="the customer's id, `cus_…`")
        parser.add_argument("--api-key", default="", help="a key of that customer, to prove it is theirs")
        parser.add_argument("--tier", default="", help="the tier it is built for: Free, Pro or Enterprise")
        parser.add_argument("--sign", action="store_true", help="sign the package; without it, it is for development")
        parser.add_argument("--output", type=Path, default=Path("dist"), help="the directory it is written to")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            path = self._build(options)
        except BuildError as error:
            raise CommandError(f"{error.log}{error.message}\n{error.hint}".rstrip()) from None
        except ApiError as error:
            raise CommandError(f"{error.message}\n{error.hint}".rstrip()) from None
        self.stdout.write(f"Output: {path}")

    def _build(self, options: dict[str, Any]) -> Path:
        customer = self._customer(options)
        directory = self._directory(options["plugin"])
        manifest, archive = local.source_of(directory)
        self.stdout.write(f"{manifest.name} {manifest.version} for {customer.name} ({customer.public_id})")
        payload = local.payload_of(local.revision_of(manifest, archive), now)
        if not options["sign"]:
            self.stdout.write("not signed: for `km-client monitor --plugin` on this machine")
            return local.written(kept_files.load(str(payload.file.name)), manifest.name, options["output"])
        row = local.packaged(payload, customer, now, self.stderr.write)
        for number, step in enumerate(row.steps, 1):
            self.stdout.write(f"{number}. {local.HEADINGS[step['name']]} ({step['seconds'] * 1000:.0f} ms)")
        return local.written(kept_files.load(str(row.package.name)), manifest.name, options["output"])

    def _directory(self, given: str) -> Path:
        for directory in (Path(given), Path(settings.BASE_DIR) / "plugins" / given):
            if (directory / "manifest.json").is_file():
                return directory.resolve()
        raise CommandError(f"there is no plugin `{given}`\ngive a directory that holds a `manifest.json`")

    def _customer(self, options: dict[str, Any]) -> Customer:
        """The customer, whose key and tier are what was said."""
        moment, customer = now(), queries.customer_named(options["customer"])
        if options["api_key"]:
            key = api_keys.find(options["api_key"])
            api_keys.check_usable(key, at=moment)
            if key.customer_id != customer.pk:
                raise CommandError(f"this key is not one of {customer.name}'s\nuse a key of {customer.public_id}")
        has, said = queries.entitlement_of(customer, at=moment), options["tier"]
        if said and said.lower() not in {has.tier, has.tier_name.lower()}:
            raise CommandError(f"{customer.name} has the tier {has.tier_name}\nleave `--tier {said}` out, or change it")
        return customer
