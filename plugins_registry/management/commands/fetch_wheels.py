"""`manage.py fetch_wheels rev_…`: download the wheels a Python plugin's `requirements.txt` pins, for the build to find.

Outside the box and before it, because the box has no network. Nothing is run or unpacked: pip downloads wheels only, no
dependencies of theirs, and every file must have one of the hashes the source names. Options in the file are refused.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from plugins_registry import scratch
from plugins_registry.building import python, sources
from plugins_registry.building.errors import BuildError
from plugins_registry.models import Revision

TIMEOUT_SECONDS = 600


class Command(BaseCommand):
    help = "Download the wheels that a revision pins."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("revision", help="the revision's id, `rev_…`")

    def handle(self, *_: Any, **options: Any) -> None:
        revision = Revision.objects.select_related("source").filter(public_id=options["revision"]).first()
        if revision is None:
            raise CommandError(f"there is no revision `{options['revision']}`")
        try:
            with scratch.room("build") as place:
                source = sources.unpack(revision.source, place / "source")
                lines = _lines(source.directory / python.REQUIREMENTS)
        except BuildError as error:
            raise CommandError(f"{error.message}\n{error.hint}") from None
        if lines:
            _download(lines, Path(settings.WHEELS_DIR))
        self.stdout.write(f"{len(lines)} wheels in {settings.WHEELS_DIR}")


def _lines(requirements: Path) -> list[str]:
    """The pins, written anew: nothing else of the file reaches pip."""
    if not requirements.exists():
        return []
    pins = python.pins(requirements.read_text(encoding="utf-8"))
    return [
        " ".join([f"{name}=={version}", *(f"--hash=sha256:{digest}" for digest in sorted(hashes))])
        for name, version, hashes in pins
    ]


def _download(lines: list[str], wheels: Path) -> None:
    wheels.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        pip = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--no-deps"]
        command = [
            *pip,
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--dest",
            str(wheels),
            "--requirement",
            file.name,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
    if done.returncode:
        raise CommandError(f"pip could not download them: {done.stderr.strip()[-500:]}")
