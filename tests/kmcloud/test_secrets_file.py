"""The service's secrets: from the environment, or made once on a laptop and never silently again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from kmcloud.secrets_file import given, secret

NAME = "KM_TEST_SECRET"


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "given")
    assert secret(NAME, tmp_path, production=False) == "given"
    assert not list(tmp_path.iterdir())


def test_a_file_that_the_environment_names_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mounted"
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    with pytest.raises(ImproperlyConfigured, match="mounted"):
        given(NAME)
    path.write_text("from a file\n")
    assert (given(NAME), secret(NAME, tmp_path, production=True)) == ("from a file", "from a file")
    monkeypatch.setenv(NAME, "given")
    assert given(NAME) == "given"


def test_in_production_a_missing_secret_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=NAME):
        secret(NAME, tmp_path, production=True)
    assert not list(tmp_path.iterdir())


def test_on_a_laptop_it_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    made = secret(NAME, tmp_path, production=False)
    assert len(made) >= 64
    assert secret(NAME, tmp_path, production=False) == made
    (file,) = (tmp_path / "secrets").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_an_emptied_file_is_reported_not_replaced(tmp_path: Path) -> None:
    secret(NAME, tmp_path, production=False)
    path = tmp_path / "secrets" / NAME.lower()
    path.write_text("")
    with pytest.raises(ImproperlyConfigured, match="empty"):
        secret(NAME, tmp_path, production=False)


def test_processes_that_start_at_once_end_with_one_secret(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from kmcloud.secrets_file import secret; sys.stdin.read();"
        f"print(secret({NAME!r}, Path(sys.argv[1]), production=False))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    made = {process.communicate(b"", timeout=60)[0] for process in started}
    assert len(made) == 1
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == [NAME.lower()]
