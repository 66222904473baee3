"""What console-logger prints of the golden stream."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from console_logger import ConsoleLogger
from km_plugin_sdk.testing import Harness, PluginProcess, golden_events

PROJECT = Path(__file__).resolve().parent.parent


def printed(
    capsys: pytest.CaptureFixture[str], features: tuple[str, ...] = ("console_logging",), **settings: Any
) -> list[str]:
    with Harness(ConsoleLogger(), manifest=PROJECT / "manifest.json") as harness:
        harness.initialize(features=features, custom_settings=settings)
        assert harness.feed(golden_events()) == []
    return capsys.readouterr().out.split("\n")[:-1]


def test_every_message_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys)
    assert len(lines) == len(golden_events())
    assert lines[1] == "15:40:00.045 ← initialize 38.2 ms"
    assert any(line.endswith("← tools/call git_log 1250.0 ms ERROR n is out of range") for line in lines)
    assert any("read_file 3.5 ms ERROR no such file" in line for line in lines)


def test_json_lines_hold_the_same_facts(capsys: pytest.CaptureFixture[str]) -> None:
    facts = [json.loads(line) for line in printed(capsys, format="json", types=["error"])]
    assert [fact["error"] for fact in facts] == ["n is out of range", "Method not found"]
    assert facts[0]["tool"] == "git_log" and facts[0]["duration_ms"] == 1250.0


def test_messages_are_shown_only_when_asked_and_stay_on_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert not any("notes.txt" in line for line in printed(capsys))
    lines = printed(capsys, messages=True, message_length=40)
    assert len(lines) == len(golden_events())
    assert any(r"\xff\xfe not UTF-8" in line for line in lines)


def test_a_name_cannot_write_to_the_terminal_or_start_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Harness(ConsoleLogger(), manifest=PROJECT / "manifest.json") as harness:
        harness.initialize()
        harness.feed([replace(golden_events()[5], tool="evil\n\x1b[2Jname")])
    assert capsys.readouterr().out.endswith("evil\\n\\x1b[2Jname\n")


def test_without_its_feature_it_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, features=()) == []


def test_losing_the_feature_in_mid_session_ends_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Harness(ConsoleLogger(), manifest=PROJECT / "manifest.json") as harness:
        harness.initialize()
        harness.feed(golden_events()[:3])
        harness.update_config(features=())
        harness.feed(golden_events()[3:])
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_its_lines_reach_the_host() -> None:
    with PluginProcess([sys.executable, str(PROJECT / "main.py")]) as process:
        assert process.initialize("console-logger").success
        assert process.feed(golden_events()) == 0
    assert process.exit_code == 0
    assert len(process.output.splitlines()) == len(golden_events())
