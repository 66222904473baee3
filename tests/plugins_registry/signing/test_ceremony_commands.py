"""The ceremony as its commands do it: keys on key holders' machines, files from hand to hand, checks at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from tuf.api.metadata import Metadata

from core.clock import now
from plugins_registry.models import MetadataFile, SigningRole
from plugins_registry.repositories import ceremony, metadata
from plugins_registry.signing import key_files
from tests.plugins_registry.repositories import world

ROOT = Path(__file__).resolve().parents[3]
CEREMONY = "tuf_root_ceremony"


def run(command: str, *arguments: Any) -> dict[str, str]:
    result = call_command(command, *map(str, arguments), "--json", stdout=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    return dict(json.loads(str(result)))


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Three holders of the root, one of the targets, two reviewers, each with a key file; the passphrase's file."""
    (tmp_path / "passphrase").write_text("correct horse battery staple\n")
    for name in ("ann", "bob", "cid", "safe", "rita", "rolf"):
        keygen(tmp_path, name)
    return tmp_path


def keygen(place: Path, name: str) -> dict[str, str]:
    return run(CEREMONY, "keygen", "--out", place / f"{name}.pem", "--passphrase-file", place / "passphrase")


def prepare(people: Path, *more: Any) -> dict[str, str]:
    keys = [option for name in ("ann", "bob", "cid") for option in ("--root-key", people / f"{name}.pem.pub")]
    reviewers = [option for name in ("rita", "rolf") for option in ("--reviewer", people / f"{name}.pem.pub")]
    targets = ("--targets-key", people / "safe.pem.pub")
    return run(CEREMONY, "prepare", "--dir", people / "hand", *keys, *targets, *reviewers, "--bin-bits", 1, *more)


def sign(people: Path, *names: str, directory: str = "hand") -> None:
    for name in names:
        key = ("--key", people / f"{name}.pem", "--passphrase-file", people / "passphrase")
        run(CEREMONY, "sign", "--dir", people / directory, *key)


def test_two_of_three_found_the_registry(db: None, people: Path) -> None:
    done = prepare(people)
    assert done["to_sign"] == "1.catalog.root.json 1.director.root.json 1.catalog.targets.json"
    sign(people, "ann", "cid", "safe")
    founded = run(CEREMONY, "assemble", "--dir", people / "hand")
    assert founded["fingerprint"] == run(CEREMONY, "show")["fingerprint"]
    catalog = ceremony.latest_root("catalog")
    assert catalog is not None
    assert len(catalog.signed.roles["root"].keyids) == 3
    row = MetadataFile.objects.get(path="1.targets.json")
    targets = Metadata.from_bytes(bytes(row.bytes))
    catalog.verify_delegate("targets", targets)


@pytest.mark.parametrize("signers", [(), ("ann",), ("ann", "ann"), ("ann", "safe"), ("rita", "rolf", "safe")])
def test_fewer_than_two_of_the_three_found_nothing(db: None, people: Path, signers: tuple[str, ...]) -> None:
    prepare(people)
    sign(people, *signers)
    with pytest.raises(CommandError, match="have enough key holders"):
        run(CEREMONY, "assemble", "--dir", people / "hand")
    assert not MetadataFile.objects.exists()
    assert not SigningRole.objects.filter(role="root").exists()


def test_the_targets_need_their_own_holder(db: None, people: Path) -> None:
    prepare(people)
    sign(people, "ann", "bob")
    with pytest.raises(CommandError, match="the catalog's targets"):
        run(CEREMONY, "assemble", "--dir", people / "hand")
    assert not MetadataFile.objects.exists()  # not even the roots, which are well signed


def test_what_was_changed_on_its_way_is_refused(db: None, people: Path) -> None:
    prepare(people)
    sign(people, "ann", "bob", "safe")
    path = people / "hand" / "1.director.root.json"
    document = json.loads(path.read_bytes())
    thief = world.Person().public
    document["signed"]["keys"][thief.keyid] = thief.to_dict()
    document["signed"]["roles"]["targets"]["keyids"] = [thief.keyid]
    path.write_text(json.dumps(document))
    with pytest.raises(CommandError):
        run(CEREMONY, "assemble", "--dir", people / "hand")
    path.write_text("nonsense")
    with pytest.raises(CommandError, match="cannot be read"):
        run(CEREMONY, "assemble", "--dir", people / "hand")


def test_a_root_that_names_a_key_this_server_does_not_hold_is_refused(db: None, people: Path) -> None:
    prepare(people)
    SigningRole.objects.filter(role="director-snapshot").delete()
    sign(people, "ann", "bob", "safe")
    with pytest.raises(CommandError, match="none of this server's"):
        run(CEREMONY, "assemble", "--dir", people / "hand")


def test_one_person_cannot_hold_two_keys_of_the_root(db: None, people: Path) -> None:
    keys = [option for name in ("ann", "ann", "bob") for option in ("--root-key", people / f"{name}.pem.pub")]
    targets = ("--targets-key", people / "safe.pem.pub")
    reviewers = [option for name in ("rita", "rolf") for option in ("--reviewer", people / f"{name}.pem.pub")]
    with pytest.raises(CommandError, match="3 different keys"):
        run(CEREMONY, "prepare", "--dir", people / "hand", *keys, *targets, *reviewers)


def test_rotation_and_emergency_go_through_the_same_hands(db: None, people: Path) -> None:
    prepare(people)
    sign(people, "ann", "bob", "safe")
    run(CEREMONY, "assemble", "--dir", people / "hand")
    for name in ("rita", "rolf"):
        world.registered(holder(people, name), name, at=now())
    dora = keygen(people, "dora")
    old = ceremony.read_public(people / "ann.pem.pub").keyid
    replaced = ("--replace-root", old, "--root-key", people / "dora.pem.pub")
    assert "2.director.root.json" in run("tuf_rotate", "--dir", people / "next", *replaced)["to_sign"]
    sign(people, "bob", "dora", directory="next")  # one who was, one who is new: not two of those before
    with pytest.raises(CommandError, match="root before it"):
        run(CEREMONY, "assemble", "--dir", people / "next")
    sign(people, "cid", directory="next")
    run(CEREMONY, "assemble", "--dir", people / "next")
    root = ceremony.latest_root("director")
    assert root is not None and dora["key_id"] in root.signed.roles["root"].keyids and old not in root.signed.keys
    before = set(SigningRole.objects.filter(active=True).exclude(role="root").values_list("key_id", flat=True))
    run("tuf_emergency_rotate", "--dir", people / "alarm")
    sign(people, "cid", "dora", "safe", directory="alarm")
    run(CEREMONY, "assemble", "--dir", people / "alarm", "--emergency")
    online = SigningRole.objects.filter(active=True).exclude(role__in=["root", "catalog-targets"])
    assert online.count() == 7
    assert not before & set(online.values_list("key_id", flat=True))
    assert run("publish_catalog", "--all")["catalog"] == "published"


def test_signing_needs_no_database(people: Path, tmp_path: Path) -> None:
    (tmp_path / "hand").mkdir()
    unsigned = metadata.root("catalog", 1, world.later(now(), days=1), {"root": []})
    (tmp_path / "hand" / "1.catalog.root.json").write_bytes(metadata.written(unsigned))
    command = [sys.executable, "manage.py", CEREMONY, "sign", "--dir", tmp_path / "hand", "--key", people / "ann.pem"]
    environment = os.environ | {
        "KM_DATA_DIR": str(tmp_path / "data"),
        "KM_DATABASE_URL": "postgres://nobody@127.0.0.1:1/x",
    }
    done = subprocess.run(
        [*map(str, command), "--passphrase-file", str(people / "passphrase")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", ["short", ""])
def test_a_passphrase_that_anybody_guesses_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "passphrase").write_text(text)
    with pytest.raises(CommandError, match="at least 12 characters"):
        keygen(tmp_path, "ann")
    assert not (tmp_path / "ann.pem").exists()


def holder(people: Path, name: str) -> world.Person:
    private = key_files.load(people / f"{name}.pem", b"correct horse battery staple")
    return world.Person(private)
