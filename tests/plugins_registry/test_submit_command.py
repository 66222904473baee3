"""`km-client plugin submit`, from a directory as authors have them to a real service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from km_client.errors import ClientError
from km_client.registry import submission

from tests.kmcloud.serving import Serving, serving
from tests.plugins_registry.registry import manifest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A plugin's directory with everything that must stay at home."""
    top = tmp_path / "slow-tools"
    for name, text in {
        "manifest.json": json.dumps(manifest()),
        "main.py": "print('hello')\n",
        "tests/test_main.py": "",
        ".env": "KEY=secret",
        ".git/config": "",
        ".venv/pyvenv.cfg": "",
        "env3/pyvenv.cfg": "",
        "dist/km-plugin-old.kmpkg": "",
        "__pycache__/main.cpython-311.pyc": "",
    }.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return top


def km(home: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "km-client"), *words]
    env = os.environ | {"XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data")} | environ
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_only_the_source_is_sent_and_the_same_directory_is_the_same_bytes(project: Path) -> None:
    packed = submission.packed(project)
    assert packed.files == ("main.py", "manifest.json", "tests/test_main.py")
    (project / "main.py").touch()
    assert submission.packed(project).sha256 == packed.sha256


def test_a_go_plugins_own_build_is_not_sent(project: Path) -> None:
    (project / "manifest.json").write_text(json.dumps(manifest(runtime="go", entry="slow-tools")))
    (project / "slow-tools").write_bytes(b"\x7fELF")
    assert "slow-tools" not in submission.packed(project).files


def test_a_link_is_named_and_nothing_is_sent(project: Path) -> None:
    (project / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(ClientError, match="symbolic link"):
        submission.packed(project)


def test_a_dry_run_says_what_would_be_sent(project: Path, tmp_path: Path) -> None:
    done = km(tmp_path, "plugin", "submit", "--dry-run", "--json", str(project), KM_API_URL="http://127.0.0.1:1")
    said = json.loads(done.stdout)
    assert (said["name"], said["files"]) == ("slow-tools", ["main.py", "manifest.json", "tests/test_main.py"])


def author_key(service: Serving) -> tuple[str, str]:
    """A laptop's key, and one that may submit."""
    made = json.loads(
        service.manage("create_customer", "--name", "Acme", "--tier", "pro", "--email", "a@acme.example", "--json")
    )
    issued = json.loads(
        service.manage(
            "issue_key", "--customer", made["customer"], "--name", "author", "--scope", "plugins:submit", "--json"
        )
    )
    return made["api_key"], issued["api_key"]


def test_a_directory_is_submitted_once_to_a_real_service(project: Path, tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    with serving(tmp_path / "service") as service:
        laptop, author = author_key(service)
        url = service.ready["url"].rstrip("/")
        submit = ("plugin", "submit", str(project))
        refused = km(tmp_path, *submit, KM_API_URL=url, KM_API_KEY=laptop)
        assert refused.returncode != 0 and "plugins:submit" in refused.stderr
        first = km(tmp_path, *submit, KM_API_URL=url, KM_API_KEY=author)
        assert first.returncode == 0, first.stderr
        assert "Submitted slow-tools 1.0.0, revision 1 (rev_" in first.stdout
        again = km(tmp_path, *submit, "--json", KM_API_URL=url, KM_API_KEY=author)
        assert json.loads(again.stdout)["created"] is False
        private = km(tmp_path, *submit, "--private", KM_API_URL=url, KM_API_KEY=author)
        assert private.returncode != 0 and "public" in private.stderr
