"""`service` has each system start the agent at sign-in, by the file that it reads, and takes all of it away again."""

from __future__ import annotations

import json
import os
import plistlib
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from km_client.autostart import installing, job, launchd, systemd, task_scheduler
from km_client.autostart.job import MARK, Job
from km_client.errors import ClientError

from tests.client.commands.conftest import Km

ODD = Job(('/home/ada o\'neil/50% "mine"/$HOME/km-client', "agent", "run"), {"KM_DATA_DIR": "/srv/a b/100%\\$x"})
UNIT = f"""# {MARK}
[Unit]
Description=Kilometers agent: ships what km-client records
Documentation=man:km-client(1)

[Service]
Type=exec
ExecStart="/home/ada/.local/bin/km-client" "agent" "run"
Environment="KM_DATA_DIR=/srv/km"
Restart=on-abnormal
RestartSec=30

[Install]
WantedBy=default.target
"""
PLAIN = Job(("/home/ada/.local/bin/km-client", "agent", "run"), {"KM_DATA_DIR": "/srv/km"})


@pytest.fixture
def home(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a systemd that can be reached: a program in its place writes down what it is told."""
    said = machine / "told"
    program = machine / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{said}\nexit "${{SYSTEMCTL_EXIT:-0}}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return machine / "home"


def tree(directory: Path) -> list[str]:
    return sorted(str(each.relative_to(directory)) for each in directory.rglob("*"))


def test_the_unit_is_this_text() -> None:
    assert systemd.unit(PLAIN) == UNIT


@pytest.mark.parametrize("wanted", [PLAIN, ODD])
def test_systemd_finds_nothing_wrong_with_it(wanted: Job, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("`systemd-analyze` is not installed")
    program = tmp_path / '50% "mine" $HOME o\'neil' / "km-client"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / systemd.NAME
    unit.write_text(systemd.unit(wanted._replace(command=(str(program), *wanted.command[1:]))))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if systemd.NAME in line] == []


def test_launchd_reads_back_what_is_to_start() -> None:
    found = plistlib.loads(launchd.agent(ODD).encode())
    assert found["ProgramArguments"] == list(ODD.command)
    assert found["EnvironmentVariables"] == ODD.environment
    assert (found["RunAtLoad"], found["KeepAlive"], found["Label"]) == (True, {"Crashed": True}, launchd.LABEL)
    manager = launchd.manager(PLAIN, Path("/Users/ada"), 501)
    assert str(manager.file) == "/Users/ada/Library/LaunchAgents/kilometers.km-client.agent.plist"
    assert manager.begin == (("launchctl", "bootstrap", "gui/501", str(manager.file)),)
    assert manager.end == manager.renew == (("launchctl", "bootout", "gui/501/kilometers.km-client.agent"),)


def test_installed_again_it_is_forgotten_first_where_the_system_wants_that(
    home: Path, km: Km, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = systemd.manager(PLAIN, home / ".config")._replace(renew=(("systemctl", "forget"),))
    monkeypatch.setenv("SYSTEMCTL_EXIT", "0")
    for expected in (0, 1):
        installing.install(found)
        assert (home.parent / "told").read_text().splitlines().count("forget") == expected


def test_the_task_is_well_formed_and_starts_it_when_its_user_signs_in() -> None:
    path = r"C:\Users\Ada & Bob\<km>\km-client.exe"
    found = Xml.fromstring(task_scheduler.definition(Job((path, "agent", "run"), {}), "LAPTOP\\ada").encode())
    names = {"t": task_scheduler.NAMESPACE}
    assert found.findtext("t:Triggers/t:LogonTrigger/t:UserId", "", names) == "LAPTOP\\ada"
    assert found.findtext("t:Actions/t:Exec/t:Command", "", names) == path
    assert found.findtext("t:Actions/t:Exec/t:Arguments", "", names) == "agent run"
    assert found.findtext("t:Settings/t:ExecutionTimeLimit", "", names) == "PT0S"


def test_a_task_is_the_same_text_in_whatever_encoding_it_is_read() -> None:
    text = task_scheduler.definition(Job((r"C:\Users\Zoë\km-client.exe", "agent", "run"), {}), "LAPTOP\\zoë")
    assert text.isascii() and "encoding" not in text.partition("\n")[0]
    found = Xml.fromstring(text)
    assert found.findtext("t:Actions/t:Exec/t:Command", "", {"t": task_scheduler.NAMESPACE}).endswith(
        r"Zoë\km-client.exe"
    )


def test_a_task_sets_the_directories_that_were_moved() -> None:
    moved = Job((r"C:\Program Files\km-client.exe", "agent", "run"), {"KM_DATA_DIR": r"D:\km data"})
    found = Xml.fromstring(task_scheduler.definition(moved, "ada").encode())
    names = {"t": task_scheduler.NAMESPACE}
    assert found.findtext("t:Actions/t:Exec/t:Command", "", names) == "cmd.exe"
    words = r'/d /s /c "set "KM_DATA_DIR=D:\km data" && "C:\Program Files\km-client.exe" agent run"'
    assert found.findtext("t:Actions/t:Exec/t:Arguments", "", names) == words


def test_no_file_has_a_secret_or_a_relative_directory(machine: Path) -> None:
    environment = {
        "KM_API_KEY": "km_live_secret",
        "KM_DATA_DIR": "here",
        "KM_CONFIG_DIR": "/c",
        "PATH": os.environ["PATH"],
    }
    found = job.current(environment)
    assert found.environment == {"KM_CONFIG_DIR": "/c"}
    assert Path(found.command[0]).is_absolute() and found.command[1:] == ("agent", "run")
    for text in (systemd.unit(found), launchd.agent(found), task_scheduler.definition(found, "ada")):
        assert "secret" not in text


def test_a_program_in_a_cache_is_not_installed(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("km_client.wrapping.program.is_temporary", lambda *_: True)
    with pytest.raises(ClientError, match="cache") as refused:
        job.current()
    assert "uv tool install" in refused.value.hint
    assert job.current(must_last=False)


def test_it_is_installed_for_the_next_sign_in_and_exactly_undone(home: Path, km: Km) -> None:
    (home / ".config" / "systemd" / "user").mkdir(parents=True)
    (home / ".config" / "systemd" / "user" / "theirs.service").touch()
    before = tree(home)
    assert km("service", "status").code == 3
    assert km("service", "install").code == 0
    unit = home / ".config" / "systemd" / "user" / systemd.NAME
    assert "agent" in unit.read_text() and unit.stat().st_mode & 0o777 == 0o600
    assert (home.parent / "told").read_text() == f"--user daemon-reload\n--user enable {systemd.NAME}\n"
    assert json.loads(km("service", "status", "--json").out)["current"] is True
    assert km("service", "install").code == 0, "again changes nothing"
    assert km("service", "uninstall").code == 0
    assert tree(home) == before
    assert (home.parent / "told").read_text().endswith(f"--user disable --now {systemd.NAME}\n--user daemon-reload\n")
    assert "Nothing is to be removed" in km("service", "uninstall").out


def test_an_empty_home_is_empty_again(home: Path, km: Km) -> None:
    km("service", "install")
    km("service", "uninstall")
    assert tree(home) == []


def test_a_dry_run_shows_the_file_and_the_commands_and_does_nothing(home: Path, km: Km) -> None:
    shown = km("service", "install", "--dry-run").out
    assert "ExecStart=" in shown and "Would run `systemctl --user enable km-client-agent.service`" in shown
    assert json.loads(km("service", "uninstall", "--dry-run", "--json").out)["commands"][0][:3] == [
        "systemctl",
        "--user",
        "disable",
    ]
    assert tree(home) == [] and not (home.parent / "told").exists()


def test_a_file_that_somebody_else_made_stays(home: Path, km: Km) -> None:
    unit = home / ".config" / "systemd" / "user" / systemd.NAME
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    assert "was not made by km-client" in km("service", "install").err
    assert km("service", "status").code == 3
    assert "Nothing is to be removed" in km("service", "uninstall").out
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"


def test_whatever_is_in_its_place_is_said_and_stays(home: Path, km: Km) -> None:
    unit = home / ".config" / "systemd" / "user" / systemd.NAME
    unit.mkdir(parents=True)
    assert "was not made by km-client" in km("service", "install").err
    unit.rmdir()
    unit.write_bytes(MARK.encode() + b"\xff")
    done = km("service", "status")
    assert done.code == 0 and "starts another km-client" in done.out


def test_where_no_session_manager_answers_it_says_what_to_run_later(
    home: Path, km: Km, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSTEMCTL_EXIT", "1")
    done = km("service", "install")
    assert done.code == 1
    later = f"systemctl --user daemon-reload && systemctl --user enable {systemd.NAME}"
    assert "does not heed it yet" in done.err and f"run `{later}`" in done.err
    assert km("service", "status").code == 0
    undone = km("service", "uninstall")
    assert undone.code == 0 and "was not told" in undone.err
    assert tree(home) == []


def test_the_real_systemctl_of_a_machine_without_a_session_is_such_a_place(machine: Path, km: Km) -> None:
    answers = shutil.which("systemctl") and subprocess.run(
        ["systemctl", "--user", "is-system-running"], capture_output=True, check=False, text=True
    )
    if not answers or answers.stdout.strip() not in ("", "offline"):
        pytest.skip("this user's systemd runs here, and a test leaves it alone")
    done = km("service", "install")
    assert done.code == 1 and "systemctl --user" in done.err and "hint: run `" in done.err


def test_without_systemd_nothing_is_written(machine: Path, km: Km, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    done = km("service", "install")
    assert done.code == 1 and "km-client agent start" in done.err
    assert tree(machine / "home") == []
