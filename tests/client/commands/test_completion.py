"""`completion` has each shell offer every verb, option, choice and file where it may stand: real shells are asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from km_client import cli
from km_client.agent import endings
from km_client.cli import VERBS
from km_client.completing.grammar import Command, grammar
from km_client.completing.shells import SHELLS

from tests.client.commands.conftest import Km
from tests.client.commands.shells import Bash, Fish, Shell, Zsh
from tests.client.monitored import KM_CLIENT

HERE: dict[str, type[Shell]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}
FILES = {"notes of mine.txt", "notes"}
LINES: dict[str, set[str]] = {
    "km-client wr": {"wrap"},
    "km unw": {"unwrap"},
    "km-client wrap cu": {"cursor"},
    "km-client wrap cursor go": {"goose"},
    "km-client config g": {"get"},
    "km-client config get ap": {"api_url"},
    "km-client completion f": {"fish"},
    "km-client agent sta": {"start", "status"},
    "km-client status --of": {"--offline"},
    "km-client plugins list --j": {"--json"},
    "km-client monitor --transport ": {"auto", "http", "sse"},
    "km-client plugin new --lang p": {"python"},
    "km-client login --registry-root no": FILES,
    "km-client plugin validate no": FILES,
    "km-client monitor --api-key no": set(),
    "km-client status no": set(),
    "km-client monitor --server-name x -- kmpro": {"kmprobe"},
    "km-client monitor -- cat no": FILES,
    "km-client nothing-like-it --": set(),
    "km-client sessions show 01": {"01a2079a-eed9", "01a2079b-0001"},
    "km sessions export 01a2079b": {"01a2079b-0001"},
    "km-client logs --session 01": {"01a2079a-eed9", "01a2079b-0001"},
    "km-client replay no": FILES,
    "km-client replay 01a2079a": {"01a2079a-eed9"},
    "km-client sessions i": set(),
}


@pytest.fixture(scope="module")
def commands() -> list[Command]:
    return grammar()


@pytest.fixture(scope="module", params=list(HERE))
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell that loaded the script, in a directory with a few files and a program of its own on its PATH."""
    if shutil.which(request.param) is None:
        pytest.skip(f"`{request.param}` is not installed: scripts/test/run installs it on Debian")
    base = tmp_path_factory.mktemp(request.param)
    place, programs = base / "place", base / "programs"
    (place / "notes").mkdir(parents=True)
    (place / "notes of mine.txt").touch()
    programs.mkdir()
    (programs / "kmprobe").write_text("#!/bin/sh\n")
    (programs / "kmprobe").chmod(0o755)
    path = os.pathsep.join([str(programs), "/usr/bin", "/bin"])
    environment = {"HOME": str(base), "PATH": path, "PWD": str(place), "LANG": "C.UTF-8", "KM_DATA_DIR": str(base)}
    for name in ("km-client", "km"):
        (programs / name).symlink_to(KM_CLIENT)
    for session_id in ("01a2079a-eed9", "01a2079b-0001", f"01$(touch {base}/hit)", "01 two words"):
        endings.note(base / "log", session_id, local_only=False)
    with HERE[request.param](SHELLS[request.param](grammar()), environment, base) as started:
        yield started
    assert not (base / "hit").exists(), "an id was run as a command"


def test_it_offers_what_may_stand_there_and_nothing_else(shell: Shell) -> None:
    assert {line: shell.offers(line) for line in LINES} == LINES


def test_it_offers_every_verb(shell: Shell) -> None:
    assert set(VERBS) <= shell.offers("km-client ")


def test_it_offers_every_command_and_option_of_each_verb(shell: Shell, commands: list[Command]) -> None:
    for each in commands:
        line = " ".join(("km-client", *each.words))
        flags = {flag for option in each.options for flag in option.flags}
        assert flags <= shell.offers(f"{line} -") | shell.offers(f"{line} --"), line
        assert set(each.below) <= shell.offers(f"{line} "), line


def test_it_offers_the_choices_of_every_option(shell: Shell, commands: list[Command]) -> None:
    asked = 0
    for each in commands:
        for option in each.options:
            if option.choices:
                asked += 1
                assert shell.offers(" ".join(("km-client", *each.words, option.flags[-1], ""))) == set(option.choices)
    assert asked


def test_the_value_of_an_option_may_be_joined_to_it(shell: Shell) -> None:
    joined = " = " if shell.program == "bash" else "="  # bash hands `=` over as a word of its own
    found = shell.offers(f"km-client monitor --transport{joined}h")
    assert {word.rpartition("=")[2] for word in found} == {"http"}


def test_the_grammar_has_every_flag_of_every_help(commands: list[Command], capsys: pytest.CaptureFixture[str]) -> None:
    """It reads what argparse keeps to itself; the help is what argparse says."""
    for each in commands:
        with pytest.raises(SystemExit):
            cli.main([*each.words, "--help"])
        heads = re.findall(r"^  (-.*?)(?:  |$)", capsys.readouterr().out, re.MULTILINE)
        shown = {flag for head in heads for flag in re.findall(r"(?<!\w)--?\w[\w-]*", head)}
        assert shown == {flag for option in each.options for flag in option.flags}, each.words


@pytest.mark.parametrize("name", list(SHELLS))
def test_the_command_prints_the_script(name: str, km: Km, commands: list[Command]) -> None:
    assert km("completion", name) == (0, SHELLS[name](commands), "")


def test_its_help_says_where_the_script_goes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["completion", "--help"])
    told = capsys.readouterr().out
    assert all(place in told for place in ("~/.bashrc", "~/.zshrc", "~/.config/fish/config.fish", "$PROFILE"))


def test_a_shell_nobody_knows_is_bad_usage(km: Km) -> None:
    with pytest.raises(SystemExit) as ended:
        km("completion", "tcsh")
    assert ended.value.code == 2


def test_powershells_script_has_every_command_with_its_words(commands: list[Command]) -> None:
    script = SHELLS["powershell"](commands)
    table = dict(re.findall(r"^    '([^']+)' = @\((.*)\)$", script, re.MULTILINE))
    for each in commands:
        assert [word.strip("'") for word in table[" ".join(each.words)].split(", ")] == each.offered()
    assert table["monitor --transport"] == "'auto', 'http', 'sse'"
    assert table["monitor --url"] == ""
    for opening, closing in ("{}", "()"):
        assert script.count(opening) == script.count(closing)
    assert script.count("'") % 2 == 0 == script.count('"') % 2


def test_powershell_offers_it() -> None:
    if shutil.which("pwsh") is None:
        pytest.skip("`pwsh` is not installed, and Debian has no package of it")
    script = SHELLS["powershell"](grammar())
    asked = "(TabExpansion2 -inputScript $line -cursorColumn $line.Length).CompletionMatches.CompletionText"
    for line, expected in {"km-client wr": ["wrap"], "km config get ap": ["api_url"]}.items():
        program = f"{script}\n$line = '{line}'\nConvertTo-Json @({asked})"
        done = subprocess.run(["pwsh", "-NoProfile", "-Command", program], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == expected
