"""What the checks mean for a revision: real archives in storage, real rows, tools that fail on order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from core.clock import now
from plugins_registry import scanning, states
from plugins_registry.errors import TransitionRefused
from plugins_registry.inspection import checking
from plugins_registry.inspection.checking import Check
from plugins_registry.inspection.errors import ToolFailedError
from plugins_registry.inspection.findings import Finding as Found
from plugins_registry.inspection.findings import finding
from plugins_registry.inspection.inspection import Inspection, Surroundings
from plugins_registry.lifecycle import Action, State
from plugins_registry.models import CheckRun, Finding, Revision, Waiver
from tests.plugins_registry.console.world import World, manifest
from tests.plugins_registry.storing import moved

CLEAN = {"main.py": b"import json\n\n\ndef handle(event):\n    return json.loads(event)\n"}
HOSTILE = {"main.py": b"import subprocess\n\nsubprocess.run(['id'])\n"}
NOTHING = Surroundings()  # a machine without any tool

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return moved(monkeypatch, tmp_path / "registry")


@pytest.fixture
def world(db: None) -> World:
    return World()


class Tool:
    """A check that fails as often as it is told, and counts its runs."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.runs = failures, 0

    def run(self, _: Inspection) -> Iterable[Found]:
        self.runs += 1
        if self.runs <= self.failures:
            raise ToolFailedError(f"failed for the {self.runs}. time")
        return [finding("tool", "trifle", "low", "a trifle", file="main.py", line=1, text="import json")]


def quick(monkeypatch: pytest.MonkeyPatch, **tools: Tool) -> None:
    """These tools are all the checks there are."""
    monkeypatch.setattr(checking, "VALIDATION", ())
    monkeypatch.setattr(checking, "SCANS", tuple(Check(name, tool.run) for name, tool in tools.items()))


def submitted(world: World, files: dict[str, bytes] | None = None, **changed: Any) -> Revision:
    return world.walk(world.revision(manifest(**changed), files or CLEAN), Action.SUBMIT)


def scan(revision: Revision) -> State:
    return scanning.scan(revision.pk, surroundings=NOTHING)


def runs(revision: Revision) -> dict[str, str]:
    return dict(revision.check_runs.values_list("check_name", "state"))


def test_a_clean_source_comes_to_the_reviewers_with_a_row_for_each_check(world: World) -> None:
    revision = submitted(world)
    assert scan(revision) is State.SECURITY_REVIEW
    assert runs(revision) == {
        **dict.fromkeys(("manifest", "hygiene", "secrets", "licence", "pins", "python_rules", "bandit"), "passed"),
        **dict.fromkeys(("ruff", "trial"), "not_run"),
    }
    assert not revision.findings.filter(severity__in=("high", "critical")).exists()


def test_a_grave_finding_is_for_the_reviewers_to_judge_and_no_rejection(world: World) -> None:
    revision = submitted(world, HOSTILE)
    assert scan(revision) is State.SECURITY_REVIEW
    assert runs(revision)["python_rules"] == "failed"
    row = revision.findings.get(check_name="python_rules", line=3)
    assert (row.rule, row.severity, row.file, row.waived) == ("undeclared-system", "high", "main.py", False)
    assert row.hint


def test_what_is_no_plugin_at_all_is_invalid_and_goes_no_further(world: World) -> None:
    revision = submitted(world, {"other.py": b""})
    assert scan(revision) is State.INVALID
    assert set(runs(revision)) == {"manifest", "hygiene"}
    assert revision.findings.filter(rule="manifest-entry-missing").exists()


def test_a_decision_on_a_false_positive_is_remembered_when_the_line_moves(world: World) -> None:
    first = submitted(world, HOSTILE)
    scan(first)
    found = first.findings.get(check_name="python_rules", line=3)
    Waiver.objects.create(
        plugin=first.version.plugin, rule=found.rule, fingerprint=found.fingerprint, reason="why", reviewer=world.ann
    )
    moved = submitted(world, {"main.py": b"# a comment\n" + HOSTILE["main.py"]}, version="1.2.1")
    scan(moved)
    assert moved.findings.get(check_name="python_rules", line=4).waived
    assert not moved.findings.get(check_name="python_rules", line=2).waived


def test_a_permission_that_the_last_approved_one_had_not_is_shown(world: World) -> None:
    world.certified(world.revision(manifest(), CLEAN))
    wider = {"network": True, "filesystem": False, "system": False}
    revision = submitted(world, version="1.3.0", permissions=wider)
    scan(revision)
    assert revision.findings.get(rule="manifest-permission-widened").message.startswith("asks for `network`")


def test_scanning_twice_leaves_one_row_of_each(world: World) -> None:
    revision = submitted(world, HOSTILE)
    scan(revision)
    before = list(Finding.objects.order_by("pk").values_list("pk", flat=True))
    assert scan(revision) is State.SECURITY_REVIEW
    assert list(Finding.objects.order_by("pk").values_list("pk", flat=True)) == before
    assert revision.changes.filter(action=Action.PASS_SCAN).count() == 1


def test_a_tool_that_fails_is_tried_again_and_only_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sound, broken = Tool(), Tool(failures=1)
    quick(monkeypatch, sound=sound, broken=broken)
    revision = submitted(world)
    assert scan(revision) is State.SCAN_ERROR
    assert runs(revision) == {"sound": "passed", "broken": "error"}
    assert "failed for the 1. time" in revision.check_runs.get(check_name="broken").detail
    assert scan(revision) is State.SECURITY_REVIEW
    assert runs(revision) == {"sound": "passed", "broken": "passed"}
    assert (sound.runs, broken.runs) == (1, 2)


def test_a_failed_scan_rests_longer_each_time_and_is_then_left_to_an_operator(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = Tool(failures=4)
    quick(monkeypatch, tool=tool)
    revision = submitted(world)
    moment = now()
    for rest in scanning.RETRY_AFTER:
        assert scanning.scan(revision.pk, surroundings=NOTHING, clock=lambda: moment) is State.SCAN_ERROR  # noqa: B023
        assert scanning.due(at=moment + rest - timedelta(seconds=1)) == []
        moment += rest
        assert scanning.due(at=moment) == [revision.pk]
    assert scanning.scan(revision.pk, surroundings=NOTHING, clock=lambda: moment) is State.SCAN_ERROR
    assert scanning.due(at=moment + timedelta(days=9)) == []
    assert scan(revision) is State.SCAN_ERROR
    assert tool.runs == 4
    scanning.retry(revision.pk, actor="user:ann", at=now())
    assert scan(revision) is State.SECURITY_REVIEW
    with pytest.raises(TransitionRefused):
        scanning.retry(revision.pk, actor="user:ann", at=now())


def test_a_scan_that_was_killed_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    first, second = Tool(), Tool()
    quick(monkeypatch, first=first, second=second)
    revision = submitted(world)
    with monkeypatch.context() as patched:

        def kill(_: Inspection) -> Iterable[Found]:
            raise Killed

        patched.setattr(second, "run", kill)
        quick(patched, first=first, second=second)
        with pytest.raises(Killed):
            scan(revision)
    assert runs(revision) == {"first": "passed"}
    assert scanning.due(at=now() + scanning.ABANDONED_AFTER + timedelta(minutes=1)) == [revision.pk]
    quick(monkeypatch, first=first, second=second)
    assert scan(revision) is State.SECURITY_REVIEW
    assert (first.runs, second.runs) == (1, 1)


def test_what_is_withdrawn_meanwhile_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = submitted(world)

    def withdraw(_: Inspection) -> Iterator[Found]:
        states.transition(revision.pk, Action.WITHDRAW, "user:carl", now())
        yield finding("slow", "late", "high", "too late")

    monkeypatch.setattr(checking, "VALIDATION", ())
    monkeypatch.setattr(checking, "SCANS", (Check("slow", withdraw),))
    assert scan(revision) is State.WITHDRAWN
    assert not CheckRun.objects.exists()
    assert not Finding.objects.exists()


def test_a_stored_source_that_is_not_what_was_sent_is_an_error_and_is_not_read(world: World, own_storage: Path) -> None:
    revision = submitted(world)
    (stored,) = (own_storage / "sources").iterdir()
    whole = stored.read_bytes()
    stored.write_bytes(whole.replace(b"json", b"jsom"))
    assert scan(revision) is State.SCAN_ERROR
    assert runs(revision) == {"unpack": "error"}
    assert "which is not its name" in revision.check_runs.get().detail
    stored.write_bytes(whole)
    assert scan(revision) is State.SECURITY_REVIEW
    assert "unpack" not in runs(revision)


def test_a_submission_nobody_heard_of_is_due_after_a_minute(world: World) -> None:
    revision = submitted(world)
    assert scanning.due(at=now()) == []
    assert scanning.due(at=now() + scanning.UNHEARD_AFTER + timedelta(seconds=1)) == [revision.pk]


def test_an_operator_sees_what_failed_and_sends_it_through_again(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick(monkeypatch, tool=Tool(failures=1))
    revision = submitted(world)
    scan(revision)
    call_command("retry_scan")
    assert f"{revision.public_id} slow-tools 1.2.0 · 1: tool: failed for the 1. time" in capsys.readouterr().out
    call_command("retry_scan", revision.public_id)
    assert scan(revision) is State.SECURITY_REVIEW
    with pytest.raises(CommandError, match="not possible while"):
        call_command("retry_scan", revision.public_id)
    with pytest.raises(CommandError, match="there is no submission"):
        call_command("retry_scan", "rev_x")
