"""Several management commands in one process, since each process of its own takes a second to load the service.

made, key = run_in_turn(service, ["create_customer", …, "--json"], ["issue_key", …, "--json"])
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from tests.end_to_end.service import ROOT, Service

SECONDS = 120.0
_PROGRAM = """
import contextlib, io, json, sys
from django.core.management import execute_from_command_line

said = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        execute_from_command_line(["manage.py", *arguments])
    said.append(out.getvalue())
print(json.dumps(said))
"""


def run_in_turn(service: Service, *commands: Sequence[str], **variables: str) -> list[str]:
    """What each of these commands of `manage.py` printed. The first that fails ends them, with its own words."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=ROOT,
        env=service.environment | {"DJANGO_SETTINGS_MODULE": "kmcloud.settings"} | variables,
        input=json.dumps([list(command) for command in commands]),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{commands}: {done.stdout}{done.stderr}"
    said: list[str] = json.loads(done.stdout)
    return said
