"""`scripts/plugin/`: the guide's own commands, as a person types them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from km_protocol.kmpkg.verify import Exit, VerifyError, verify

from scripts.plugin import demo_security_model as demo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("kept") / "packages"
    assert demo.main(["--plugin", "console-logger", "--keep", str(directory)]) == 0
    yield directory


def verified(package: Path, *words: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "scripts" / "plugin" / "verify-plugin.sh"
    command = [str(script), package.name, *words]
    return subprocess.run(command, cwd=package.parent, capture_output=True, text=True, timeout=120, check=False)


def test_every_attack_is_refused_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--plugin", str(ROOT / "plugins" / "console-logger")]) == 0
    shown = capsys.readouterr().out
    lines = {line[:40].strip(): line[40:].split()[0] for line in shown.splitlines()[3:-2]}
    assert len(lines) == 15
    assert set(lines.values()) == {"0", "2", "3", "4", "5", "6", "7"}
    assert "accepted; 14 of 14 attacks refused" in shown


def test_one_attack_that_passes_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = verify

    def blind(path: Path, *args: object, **options: object) -> object:
        try:
            return real(path, *args, **options)  # type: ignore[arg-type]
        except VerifyError as error:
            if error.exit_code is Exit.REVIEW:
                return None
            raise

    monkeypatch.setattr(demo, "verify", blind)
    assert demo.main(["--plugin", "console-logger"]) == 1
    shown = capsys.readouterr().out
    assert "EXPECTED 5" in shown
    assert "10 of 14 attacks refused" in shown


def test_a_plugin_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--plugin", "no-such-plugin"]) == demo.BAD_INPUT
    assert "no-such-plugin" in capsys.readouterr().err


def test_the_kept_packages_are_refused_by_the_command_too(kept: Path) -> None:
    sound, tampered = (
        kept / "00-nothing-the-package-as-it-was-made.kmpkg",
        kept / "01-one-bit-of-the-program-changed.kmpkg",
    )
    done = verified(sound, "--verbose", "--trust", "trust.json")
    assert done.returncode == 0, done.stderr
    assert "blocklist" in done.stdout
    refused = verified(tampered, "--json", "--trust", "trust.json")
    assert refused.returncode == 3
    assert json.loads(refused.stdout)["code"] == "statement_differs"
