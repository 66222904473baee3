"""`manage.py tuf_emergency_rotate --dir D`: every online key anew, for when the server or one of its keys was stolen.

Then, as fast as two key holders and the holder of the targets key can be reached: `tuf_root_ceremony sign`, and
`tuf_root_ceremony assemble --emergency`. From that moment nothing that the stolen keys sign is accepted by a laptop
that refreshes, also none with a higher version; everything is signed and every package is built again.
`docs/security/keys.md` says what to do first.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from core.clock import now
from customers import audit
from plugins_registry.management.ceremony_command import CeremonyCommand
from plugins_registry.repositories import ceremony
from plugins_registry.signing.roles import ONLINE


class Command(CeremonyCommand):
    help = "Prepare a root that drops every online key at once."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dir", type=Path, required=True, help="an empty directory for what is to be signed")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        plan = ceremony.present_plan()
        for role in ONLINE:
            plan = ceremony.with_new_key(plan, role)
        stolen_issuer = plan.issuers[:-1]
        plan = replace(plan, issuers=plan.issuers[-1:], changed=ceremony.EVERYTHING)
        written = ceremony.prepare(options["dir"], plan, at=now())
        audit.record("root.emergency", subject="root", at=now(), dropped=[key.keyid for key in stolen_issuer])
        return {"to_sign": " ".join(path.name for path in written), "dropped_issuer": stolen_issuer[0].keyid}
