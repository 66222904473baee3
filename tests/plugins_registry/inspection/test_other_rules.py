"""The manifest, the archive's hygiene, secrets, licences and Python's pins: what is seen, and what is let be."""

from __future__ import annotations

import base64
import zipfile
from pathlib import Path

import pytest
from km_protocol import api_keys

from plugins_registry.inspection import hygiene, licence_rules, manifest_rules, pin_rules, secret_rules
from plugins_registry.inspection.findings import MOST_FINDINGS, capped, finding
from plugins_registry.inspection.source_tree import SourceTree
from tests.plugins_registry.inspection.sources import grave, manifest, rules, source

KEY = api_keys.compose("live", "0Qm3" + "x7Rk9Tz2Wq" * 2 + "Bn5Lc8")
RANDOM = "f9Q2xK7pL0vZ3mT8yB5nR1cJ6wD4sHgA"  # nobody's
MIT = "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of it"


def of_manifest(place: Path, text: str, expected: tuple[str, str] | None = None) -> list[tuple[str, str]]:
    tree = SourceTree(source(place, {"manifest.json": text, "main.py": ""}))
    return [(found.rule, found.severity) for found in manifest_rules.check(tree, None, expected)]


def test_all_problems_of_a_manifest_come_at_once(tmp_path: Path) -> None:
    found = of_manifest(tmp_path, manifest(name="Bad Name", version="1", permissions={"netwerk": True}))
    assert found == [("manifest-invalid", "critical")] * 3


def test_a_manifest_of_another_plugin_is_critical(tmp_path: Path) -> None:
    assert of_manifest(tmp_path, manifest(), ("slow-tools", "1.0.0")) == []
    assert of_manifest(tmp_path, manifest(), ("slow-tools", "1.0.1")) == [("manifest-other-plugin", "critical")]


def test_a_widened_permission_is_shown_and_a_narrowed_one_is_not(tmp_path: Path) -> None:
    narrow = SourceTree(source(tmp_path / "a", {"main.py": ""}))
    wide = SourceTree(source(tmp_path / "b", {"main.py": ""}, permissions={"network": True}))
    assert rules(manifest_rules.check(wide, narrow, None)) == {"manifest-permission-widened"}
    assert rules(manifest_rules.check(narrow, wide, None)) == set()


def test_a_manifest_whose_entry_is_not_there_is_critical(tmp_path: Path) -> None:
    assert of_manifest(tmp_path, manifest(entry="other.py")) == [("manifest-entry-missing", "critical")]


HYGIENE: dict[str, tuple[dict[str, str | bytes], str]] = {
    "a library": ({"fast.so": b"\x7fELF"}, "program"),
    "a program in disguise": ({"data.txt": b"\x7fELF\x02\x01\x01" + b"\0" * 20}, "disguised"),
    "bytecode": ({"__pycache__/a.cpython-311.pyc": b"\xa7\r\r\n"}, "bytecode"),
    "a wheel": ({"a.whl": b"PK\x03\x04"}, "archive"),
    "an archive in disguise": ({"words.txt": b"PK\x03\x04...."}, "disguised"),
    "passwords": ({".env": "A=b"}, "credential-file"),
    "a .pth": ({"x.pth": "import os"}, "startup-file"),
    "an installed package": ({"site/a.py": ""}, "shipped-site"),
    "minified code": ({"main.py": "x = [" + "1, " * 2000 + "]"}, "minified"),
    "a block of base64": ({"main.py": f'x = "{base64.b64encode(bytes(range(256)) * 4).decode()}"'}, "obfuscated"),
    "zeros": ({"main.py": b"x = 1\0"}, "binary-code"),
    "text in another order": ({"main.py": "x = 1  # \u202e evil"}, "reordered-text"),
    "invisible letters": ({"main.py": "acc\u200bess = 1"}, "reordered-text"),
    "a module like the standard library's": ({"json.py": ""}, "shadows-module"),
    "a package like the SDK": ({"km_plugin_sdk/__init__.py": ""}, "shadows-module"),
    "a name of Windows": ({"aux.txt": ""}, "bad-name"),
}


@pytest.mark.parametrize("case", HYGIENE)
def test_what_no_reviewer_could_read_is_seen(tmp_path: Path, case: str) -> None:
    files, rule = HYGIENE[case]
    assert rule in grave(hygiene.check(SourceTree(source(tmp_path, files)), "python"))


def test_ordinary_source_is_clean(tmp_path: Path) -> None:
    files = {"main.py": "import json\n", "plugin.py": "", "tests/test_x.py": "", "README.md": "MZ", "golden.json": "{}"}
    assert list(hygiene.check(SourceTree(source(tmp_path, files)), "python")) == []


def test_a_link_is_critical_and_not_followed(tmp_path: Path) -> None:
    (source(tmp_path, {"main.py": ""}) / "passwords").symlink_to("/etc/passwd")
    tree = SourceTree(tmp_path)
    assert grave(hygiene.check(tree, "python")) == {"not-a-file"}
    with pytest.raises(OSError, match="symbolic"):
        tree.read("passwords")


def test_a_real_zip_by_another_name_is_seen(tmp_path: Path) -> None:
    with zipfile.ZipFile(source(tmp_path, {}) / "table.json", "w") as archive:
        archive.writestr("evil.py", "")
    assert grave(hygiene.check(SourceTree(tmp_path), "python")) == {"disguised"}


SECRETS = {
    "kilometers-key": f"key = '{KEY}'",
    "aws-access-key": "id = 'AKIAQ4M7K2T5R3W6P2XB'",
    "github-token": "t = 'ghp_" + "aB3dE6gH9j" * 3 + "kLmNoP'",
    "slack-token": "t = 'xoxb-381923-2k3j4h-d8f7g6h5'",
    "private-key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "password-in-url": "u = 'postgres://app:s3cr3tpw@db.internal/x'",
    "random-secret": f'api_key = "{RANDOM}"',
}
HARMLESS = {
    "a look-alike with a wrong checksum": f"key = '{KEY[:-1]}{'a' if KEY[-1] != 'a' else 'b'}'",
    "an example": "api_key = 'your-api-key-goes-here'",
    "amazon's own example": "id = 'AKIAIOSFODNN7EXAMPLE'",
    "a hash": "token_sha256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'",
    "a setting's name": 'password = "settings.database.password"',
    "a variable": "url = 'postgres://${USER}:${PASSWORD}@db/x'",
    "random text that nobody calls secret": f'fixture = "{RANDOM}"',
}


@pytest.mark.parametrize("rule", SECRETS)
def test_a_secret_is_seen_and_not_repeated(tmp_path: Path, rule: str) -> None:
    found = list(secret_rules.check(SourceTree(source(tmp_path, {"config.txt": SECRETS[rule]}))))
    assert rule in grave(found)
    assert not any(KEY in each.message or RANDOM in each.message for each in found)


@pytest.mark.parametrize("case", HARMLESS)
def test_what_only_looks_like_a_secret_is_let_be(tmp_path: Path, case: str) -> None:
    assert list(secret_rules.check(SourceTree(source(tmp_path, {"config.txt": HARMLESS[case]})))) == []


def licence(place: Path, expression: str, files: dict[str, str]) -> set[str]:
    return rules(licence_rules.check(SourceTree(source(place, files)), expression))


def test_a_licence_and_its_text_must_agree(tmp_path: Path) -> None:
    assert licence(tmp_path / "a", "MIT", {"LICENSE": MIT}) == set()
    assert licence(tmp_path / "b", "Apache-2.0 OR MIT", {"LICENSE": MIT}) == set()
    assert licence(tmp_path / "c", "GPL-3.0-or-later", {"LICENSE": MIT}) == {"licence-differs"}
    assert licence(tmp_path / "d", "MIT", {}) == {"licence-file-missing"}
    assert licence(tmp_path / "e", "MTI", {"LICENSE": MIT}) == {"unknown-licence"}


def test_the_licence_of_this_project_is_recognised(tmp_path: Path) -> None:
    text = Path(__file__).resolve().parents[3].joinpath("LICENSE").read_text()
    assert licence(tmp_path, "Apache-2.0", {"LICENSE": text}) == set()


HASH = "--hash=sha256:" + "0" * 64
REQUIREMENTS = {
    "requests==2.32.0": "no-hash",
    f"requests>=2.32.0 {HASH}": "unpinned",
    f"requests==2.* {HASH}": "unpinned",
    f"requests {HASH}": "unpinned",
    f"git+https://example.com/x.git {HASH}": "direct-reference",
    f"x @ https://example.com/x.whl {HASH}": "direct-reference",
    "--index-url https://example.com": "requirement-option",
    "-r other.txt": "requirement-option",
}


@pytest.mark.parametrize("line", REQUIREMENTS)
def test_a_requirement_that_may_mean_other_bytes_is_seen(tmp_path: Path, line: str) -> None:
    tree = SourceTree(source(tmp_path, {"requirements.txt": line}))
    assert REQUIREMENTS[line] in grave(pin_rules.check(tree, "python"))


def test_pinned_and_hashed_requirements_are_clean(tmp_path: Path) -> None:
    text = (
        f"# made by a tool\nrequests[socks]==2.32.0 ; python_version >= '3.11' \\\n    {HASH} \\\n    {HASH}  # via x\n"
    )
    assert list(pin_rules.check(SourceTree(source(tmp_path, {"requirements.txt": text})), "python")) == []


def test_a_flood_of_trifles_does_not_hide_what_is_grave() -> None:
    trifles = [finding("x", "trifle", "low", "…", line=number, text=str(number)) for number in range(2000)]
    kept = capped("x", [*trifles, finding("x", "grave", "critical", "…")])
    assert len(kept) == MOST_FINDINGS
    assert kept[0].rule == "grave"
    assert kept[-1].rule == "too-many-findings"
