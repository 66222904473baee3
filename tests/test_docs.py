"""The documents are true: their commands exist with those flags, their links lead somewhere, every setting is named."""

from __future__ import annotations

import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from km_client.settings import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")])
BIN = Path(sys.executable).parent
PROGRAMS = {"km-client", "km", "manage.py"}
CODE_BLOCK = re.compile(r"^```(?:sh|bash|console|shell)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SETTING = re.compile(r"\bKM_[A-Z][A-Z_]+[A-Z]\b")
SOURCES = [
    "kmcloud",
    "core",
    "customers",
    "plugins_registry",
    "events",
    "alerts",
    "dashboard",
    "client/src",
    "protocol/src",
]


def commands() -> list[tuple[str, str]]:
    """(page, command line) of every command of this project in a shell block."""
    found = []
    for page in PAGES:
        for block in CODE_BLOCK.findall(page.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.removeprefix("$ ").split("#")[0].strip()
                if any(word in PROGRAMS or word.startswith("scripts/") for word in _words(command)):
                    found.append((page.name, command))
    return found


def _words(command: str) -> list[str]:
    """The words of a command, the program by its plain name: `.venv/bin/km-client` is `km-client`."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    return [re.sub(r"^(\.venv/bin/|\./)", "", word) for word in words]


def environment() -> dict[str, str]:
    """For `manage.py`: whatever it writes goes where this run's other data is, not into the project."""
    return os.environ | {"KM_DATA_DIR": str(settings.DATA_DIR)}


@functools.cache
def help_of(*command: str) -> str:
    """What `command --help` prints; it must succeed."""
    done = subprocess.run(
        [*command, "--help"], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"`{' '.join(command)} --help` failed: {done.stderr}"
    return done.stdout


def own_part(words: list[str]) -> list[str]:
    """Our program and its arguments: what stands before it is environment, what follows `--` is another program's."""
    start = next(i for i, word in enumerate(words) if word in PROGRAMS or word.startswith("scripts/"))
    part = words[start:]
    return part[: part.index("--")] if "--" in part else part


def usage(part: list[str]) -> str:
    """The help text that must name the flags of `part`."""
    program, verbs = part[0], [word for word in part[1:] if re.fullmatch(r"[a-z][a-z_-]*", word)]
    if program.startswith("scripts/"):
        return help_of(str(ROOT / program))
    if program == "manage.py":
        return help_of(sys.executable, "manage.py", *verbs[:1])
    nested = verbs[: 2 if verbs[:1] in (["agent"], ["config"]) else 1]
    return help_of(str(BIN / program), *nested)


@pytest.mark.parametrize(("page", "command"), commands())
def test_every_command_in_the_documents_exists_with_its_flags(page: str, command: str) -> None:
    part = own_part(_words(command))
    if part[0].startswith("scripts/"):
        script = ROOT / part[0]
        assert script.is_file() and script.stat().st_mode & 0o111, f"{page}: {part[0]} is not a script"
    if part[0] == "scripts/test/run":  # passes everything else on to pytest
        return
    flags = [word.split("=")[0] for word in part[1:] if word.startswith("-")]
    if len(part) > 1 or flags:
        text = usage(part)
        assert not [flag for flag in flags if flag not in text], f"{page}: `{command}`"


def anchors(page: Path) -> set[str]:
    """The fragments a page can be linked at, as its headings are rendered."""
    headings = re.findall(r"^#+ +(.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, fragment = target.partition("#")
        linked = (page.parent / path) if path else page
        if not linked.exists() or (fragment and fragment not in anchors(linked)):
            broken.append(target)
    assert not broken


def test_every_setting_the_code_reads_is_documented_and_no_other() -> None:
    read = set()
    for directory in SOURCES:
        for path in (ROOT / directory).rglob("*.py"):
            read |= set(SETTING.findall(path.read_text()))
    documented = set(SETTING.findall((ROOT / "docs" / "settings.md").read_text())) - {"KM_PYTHON"}
    assert read == documented, f"undocumented: {sorted(read - documented)}; unknown: {sorted(documented - read)}"


def test_every_setting_of_the_configuration_file_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert not [name for name in SETTINGS if f"`{name}`" not in page]


def test_the_api_page_names_every_address_of_the_schema_and_no_other() -> None:
    command = [sys.executable, "manage.py", "spectacular"]
    schema = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=True
    ).stdout
    described = set(re.findall(r"^  (/\S+):$", schema, re.MULTILINE))
    page = (ROOT / "docs" / "api.md").read_text()
    named = set(re.findall(r"`(?:GET|POST|DELETE) (/[^\s`]+)`", page))
    assert named - {"/metrics", "/api/schema", "/api/docs"} == described - {"/api/schema"}


def test_every_page_of_the_documents_is_in_their_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    assert not [
        page.name for page in (ROOT / "docs").glob("*.md") if page.name != "index.md" and page.name not in index
    ]
