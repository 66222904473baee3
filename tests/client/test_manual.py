"""The man page has every command, option, variable, file and exit code, and groff has nothing to say against it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from km_client import paths
from km_client.completing import manual
from km_client.completing.grammar import Command, grammar

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "client" / "man" / "km-client.1"
VARIABLE = re.compile(r"\bKM_[A-Z]+(?:_[A-Z]+)*\b")


@pytest.fixture(scope="module")
def commands() -> list[Command]:
    return grammar()


@pytest.fixture(scope="module")
def page(commands: list[Command]) -> str:
    return manual.page(commands)


def test_the_page_in_the_wheel_is_what_the_parsers_say(page: str) -> None:
    made = "python -m km_client.completing.manual >client/man/km-client.1"
    assert PAGE.read_text() == page, f"make it again: {made}"


def test_it_has_every_command_with_its_options(page: str, commands: list[Command]) -> None:
    sections = dict(re.findall(r'^\.SS "(km\\-client [^"]+)"\n(.*?)(?=^\.S[SH])', page, re.MULTILINE | re.DOTALL))
    assert len(sections) == len(commands)
    for heading, command in zip(sections, commands, strict=True):
        assert heading.replace("\\-", "-").startswith(" ".join(("km-client", *command.words)))
        for option in command.options:
            if "--help" not in option.flags:
                assert f".B {option.flags[0]}".replace("-", "\\-") in sections[heading], option.flags


def test_it_has_every_variable_the_client_reads(page: str) -> None:
    sources = (ROOT / "client" / "src" / "km_client").rglob("*.py")
    read = {name for path in sources if path.name != "manual.py" for name in VARIABLE.findall(path.read_text())}
    assert read == set(manual.VARIABLES) - {"NO_COLOR"}
    assert all(f".B {name}\n" in page for name in manual.VARIABLES)


def test_its_files_are_where_the_client_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KM_CONFIG_DIR", "KM_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    kept = {paths.config_file(), paths.credentials_file(), paths.journal_dir(), paths.log_dir()}
    named = {Path(each).expanduser() for each in manual.FILES}
    assert named == {*kept, paths.agent_dir() / "agent.log"}


def test_no_line_is_taken_for_a_macro(page: str) -> None:
    macros = {"TH", "SH", "SS", "TP", "PP", "B", "I", "nf", "fi", "RS", "RE", "nh", "ad"}
    heads = {line[1:].partition(" ")[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert heads <= macros
    assert page.count("\n.nf\n") == page.count("\n.fi\n") == page.count("\n.RS 2\n") == page.count("\n.RE\n")
    odd = Command(("odd",), ".SH or 'TH begin no line", "'TH\n.SH \\fB\n\n  .so /etc/passwd")
    assert not re.search(r"^['.](TH|SH \\|so)|\\fB", manual.page([odd]).partition(".SH COMMANDS")[2], re.MULTILINE)


@pytest.mark.parametrize(
    "judge",
    [
        ["man", "--warnings=w", "-E", "UTF-8", "-l"],
        ["groff", "-man", "-ww", "-z", "-K", "utf8"],
        ["mandoc", "-Tlint", "-Wwarning"],
    ],
)
def test_nothing_that_reads_such_pages_complains(judge: list[str], page: str, tmp_path: Path) -> None:
    if shutil.which(judge[0]) is None:
        pytest.skip(f"`{judge[0]}` is not installed")
    file = tmp_path / "km-client.1"
    file.write_text(page)
    done = subprocess.run(
        [*judge, str(file)],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "MANWIDTH": "100", "LANG": "C.UTF-8", "MANPAGER": "cat"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
