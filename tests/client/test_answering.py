"""Wherever stdout leads, a command ends without a traceback, and nothing is lost without a word."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from km_client import output
from km_client.errors import ClientError

from tests.client.monitored import KM_CLIENT

Stdout = Callable[[io.TextIOBase | None], None]


def saying(code: int, *steps: Callable[[], None]) -> Callable[[], int]:
    """A command that takes these steps, and ends with this code."""

    def run() -> int:
        for step in steps:
            step()
        return code

    return run


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> Stdout:
    """Have stdout lead somewhere else."""
    return lambda stream: monkeypatch.setattr(sys, "stdout", stream)


@pytest.fixture
def gone() -> Iterator[io.TextIOWrapper]:
    """A pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        yield stream


def test_a_reader_that_left_changes_no_exit_code_where_all_was_said_by_then(
    stdout: Stdout, gone: io.TextIOWrapper
) -> None:
    stdout(gone)
    assert output.answered(saying(7, lambda: output.say("a line, which waits to be written"))) == 7


def test_a_reader_that_left_ends_a_command_quietly_in_the_middle(stdout: Stdout, gone: io.TextIOWrapper) -> None:
    def run() -> int:
        output.say("before")
        output.table(("name",), [("x",)])
        raise AssertionError("nobody reads this")

    stdout(gone)
    assert output.answered(run) == 0
    gone.flush()  # what Python does when it ends


def test_a_reader_that_left_during_a_help_is_no_fault_either(stdout: Stdout, gone: io.TextIOWrapper) -> None:
    def run() -> int:
        output.say("usage")
        raise SystemExit(0)

    stdout(gone)
    assert output.answered(run) == 0


def test_an_answer_that_found_no_room_is_an_error(stdout: Stdout) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        stdout(full)
        with pytest.raises(ClientError, match="could not be written whole: No space left on device"):
            output.answered(saying(0, lambda: output.say("x")))


def test_where_there_is_no_stdout_a_command_still_does_its_work(stdout: Stdout) -> None:
    stdout(None)
    assert output.answered(saying(5, lambda: output.table(("name",), [("x",)]))) == 5
    sys.stdout.close()


def test_what_an_encoding_has_not_is_spelled_out_and_json_stays_json(stdout: Stdout) -> None:
    written = io.BytesIO()
    stdout(stream := io.TextIOWrapper(written, encoding="ascii"))
    assert output.answered(saying(0, lambda: output.say("…"), lambda: output.say_json("é \U0001f600"))) == 0
    said, answer = written.getvalue().splitlines()
    assert said == b"\\u2026" and json.loads(answer) == "é \U0001f600"
    stream.detach()


def test_every_verb_answers_so() -> None:
    command = f"{KM_CLIENT} completion bash >&-; echo $?; {KM_CLIENT} completion bash >/dev/full; echo $?"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["0", "1"]
    assert done.stderr.splitlines()[0] == "error: the answer could not be written whole: No space left on device"
