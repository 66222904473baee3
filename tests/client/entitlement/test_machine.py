"""A machine's id is made once, is nobody else's to read, and says nothing."""

from __future__ import annotations

import logging
import re
import stat
from pathlib import Path

import pytest
from km_client.entitlement import machine
from km_client.entitlement.machine import machine_id


def test_the_id_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "machine"
    made = machine_id(path)
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert machine_id(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_two_machines_have_two_ids(tmp_path: Path) -> None:
    assert machine_id(tmp_path / "one") != machine_id(tmp_path / "two")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"short", b"g" * 32, b"a" * 33, b"../../etc/passwd"])
def test_a_damaged_file_gets_a_new_id(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "machine"
    path.write_bytes(content)
    made = machine_id(path)
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert machine_id(path) == made


def test_an_id_that_cannot_be_kept_is_good_for_this_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_not_kept", {})
    (tmp_path / "file").write_text("where a directory should be")
    path = tmp_path / "file" / "machine"
    with caplog.at_level(logging.WARNING):
        made = machine_id(path)
    assert machine_id(path) == made
    assert "until the agent ends" in caplog.text
