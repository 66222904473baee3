"""`manage.py tuf_root_ceremony STEP`: found the registry with three people's keys, two of which must sign.

    keygen --out ann.pem                       at each key holder's own machine: the key, and ann.pem.pub to hand over
    prepare --dir D --root-key ann.pem.pub … --targets-key safe.pem.pub [--reviewer rita.pub …]
    sign --dir D --key ann.pem                 at each key holder's own machine, with what `prepare` wrote
    assemble --dir D                           checks the signatures and publishes
    show                                       the fingerprint to compare with, and when what people signed runs out

`sign` needs neither the database nor a network. The same three steps carry out what `tuf_rotate` prepares.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from core.clock import now
from plugins_registry.management.ceremony_command import CeremonyCommand, passphrase
from plugins_registry.models import RepositoryState
from plugins_registry.repositories import ceremony, delegating, files
from plugins_registry.repositories.dirty import CATALOG
from plugins_registry.signing import key_files


class Command(CeremonyCommand):
    help = "Found the registry: make keys, prepare, sign, assemble."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("step", choices=["keygen", "prepare", "sign", "assemble", "show"])
        parser.add_argument("--out", type=Path, help="keygen: the new key's file")
        parser.add_argument("--dir", type=Path, help="the directory that goes from hand to hand")
        parser.add_argument("--key", type=Path, help="sign: your key's file")
        parser.add_argument("--passphrase-file", type=Path, help="read it there instead of asking")
        parser.add_argument("--root-key", type=Path, action="append", default=[], help="prepare: three public keys")
        parser.add_argument("--targets-key", type=Path, help="prepare: the public key that names the reviewers")
        parser.add_argument(
            "--reviewer", type=Path, action="append", default=[], help="prepare: beside those registered"
        )
        parser.add_argument("--bin-bits", type=int, choices=range(1, 11), default=ceremony.BIN_BITS, metavar="BITS")
        parser.add_argument("--emergency", action="store_true", help="assemble: build every package again")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        steps = {"keygen": _keygen, "prepare": _prepare, "sign": _sign, "assemble": _assemble, "show": _show}
        return steps[options["step"]](options)


def _keygen(options: dict[str, Any]) -> dict[str, str]:
    path = _given(options, "out")
    try:
        public = key_files.create(path, passphrase(options["passphrase_file"], new=True))
    except FileExistsError:
        raise CommandError(f"`{path}` is there already, and a key is never overwritten.") from None
    handed = path.with_name(f"{path.name}.pub")
    handed.write_bytes(ceremony.public_file(public))
    return {"key": str(path), "public": str(handed), "key_id": public.keyid}


def _prepare(options: dict[str, Any]) -> dict[str, str]:
    if ceremony.latest_root(CATALOG) is not None:
        raise CommandError("This registry is founded already.\nUse `manage.py tuf_rotate` to change whose keys count.")
    roots = [ceremony.read_public(path) for path in options["root_key"]]
    reviewers = [ceremony.read_public(path) for path in options["reviewer"]]
    everyone = {key.keyid: key for key in (*ceremony.present_reviewers(), *reviewers)}
    targets = ceremony.read_public(_given(options, "targets_key"))
    plan = ceremony.first_plan(roots, targets, tuple(everyone.values()), options["bin_bits"])
    written = ceremony.prepare(_given(options, "dir"), plan, at=now())
    return {"to_sign": " ".join(path.name for path in written), "reviewers": " ".join(everyone)}


def _sign(options: dict[str, Any]) -> dict[str, str]:
    private_key = key_files.load(_given(options, "key"), passphrase(options["passphrase_file"], new=False))
    signed = ceremony.sign(_given(options, "dir"), private_key)
    digests = {path.name: hashlib.sha256(ceremony.read(path).signed_bytes).hexdigest()[:16] for path in signed}
    return {"key_id": key_files.public_of(private_key).keyid, **digests}


def _assemble(options: dict[str, Any]) -> dict[str, str]:
    names = ceremony.assemble(_given(options, "dir"), at=now(), emergency=options["emergency"])
    return {"published": " ".join(names), **_show(options)}


def _show(_: dict[str, Any]) -> dict[str, str]:
    state = RepositoryState.objects.filter(name=CATALOG).first()
    first = files.first_root(state) if state else None
    root, targets = ceremony.latest_root(CATALOG), delegating.catalog_targets()
    if first is None or root is None or targets is None:
        raise CommandError("Nobody has founded this registry yet.")
    return {
        "fingerprint": hashlib.sha256(first).hexdigest(),
        "root_version": str(root.signed.version),
        "root_ends": root.signed.expires.isoformat(),
        "targets_end": targets.signed.expires.isoformat(),
        "reviewers": " ".join(key.keyid for key in delegating.reviewers_of(targets)),
    }


def _given(options: dict[str, Any], name: str) -> Path:
    path = options[name]
    if not isinstance(path, Path):
        raise CommandError(f"`{options['step']}` needs --{name.replace('_', '-')}.")
    return path
