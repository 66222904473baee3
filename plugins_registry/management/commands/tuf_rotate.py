"""`manage.py tuf_rotate --dir D …`: prepare another key for a role, or another signature before the last one runs out.

    --role director-timestamp [--uri hsm:2?label=registry]    a new online key, which signs once a root names it
    --replace-root KEYID --root-key new.pub                   another person, or another key of the same
    --targets-key new.pub                                     another offline key of the catalog's targets
    --reviewers                                               name the reviewers whose keys are registered now
    --renew                                                   the same keys, for another year

Then `tuf_root_ceremony sign` by two key holders (and the holder of the targets key) and `tuf_root_ceremony assemble`.
Until that the keys before go on signing; nothing fails for anybody.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from core.clock import now
from plugins_registry.management.ceremony_command import CeremonyCommand
from plugins_registry.repositories import ceremony
from plugins_registry.signing.roles import ONLINE, Role


class Command(CeremonyCommand):
    help = "Prepare the rotation of a key, or the renewal of what people signed."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dir", type=Path, required=True, help="an empty directory for what is to be signed")
        parser.add_argument("--role", choices=[str(role) for role in ONLINE], action="append", default=[])
        parser.add_argument("--uri", default="", help="where the role's new key is; else KM_SIGNER_URIS, else a file")
        parser.add_argument("--replace-root", default="", metavar="KEYID")
        parser.add_argument("--root-key", type=Path, help="the public key that takes its place")
        parser.add_argument("--targets-key", type=Path)
        parser.add_argument("--reviewers", action="store_true")
        parser.add_argument("--renew", action="store_true")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        plan = replace(ceremony.present_plan(), changed=frozenset())
        for role in options["role"]:
            plan = ceremony.with_new_key(plan, Role(role), options["uri"])
        if options["replace_root"]:
            plan = ceremony.with_root_key(plan, options["replace_root"], ceremony.read_public(_root_key(options)))
        if options["targets_key"]:
            plan = ceremony.with_targets_key(plan, ceremony.read_public(options["targets_key"]))
        if options["reviewers"] or options["renew"]:
            plan = replace(plan, changed=plan.changed | {"targets"})
        if options["renew"]:
            plan = replace(plan, changed=ceremony.EVERYTHING)
        if not plan.changed:
            raise CommandError("Say what to rotate: --role, --replace-root, --targets-key, --reviewers or --renew.")
        written = ceremony.prepare(options["dir"], plan, at=now())
        return {"to_sign": " ".join(path.name for path in written)}


def _root_key(options: dict[str, Any]) -> Path:
    path = options["root_key"]
    if not isinstance(path, Path):
        raise CommandError("--replace-root needs --root-key, the public key that takes its place.")
    return path
