"""The commands of a service's operator, of which only the first waits until `manage.py` has loaded the service.

    operator = Operator(service.environment)
    made, key = operator.run(["create_customer", …, "--json"], ["issue_key", …, "--json"])

A process with that environment loads the settings and the apps, once, and forks for each `run`: the fork runs
`manage.py` as Python would, so no command finds what another left in memory, nor a connection that another opened. It
ends with its `Operator`, or with whoever has that.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
MANAGE = str(ROOT / "manage.py")
SECONDS = 120.0  # a machine with two cores may be busy; none takes five
_SETTING = "KM_"
_END = "\0"  # of what one command prints


class Operator:
    """Whoever runs `manage.py` with this environment. Several threads may ask; it runs one thing after the other."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._mutex = threading.Lock()
        self._loaded: subprocess.Popen[str] | None = None

    def run(self, *commands: Sequence[str], **variables: str) -> list[str]:
        """What each of these commands printed, run in turn in one process. `variables` of that one, none a setting's.

        The first that fails ends them: an `AssertionError` with its own words.
        """
        assert not [name for name in variables if name.startswith(_SETTING)], "settings are read once, at the start"
        with self._mutex:
            loaded = self._loaded = self._loaded or _load(self)
            alarm = threading.Timer(SECONDS, loaded.kill)
            alarm.start()
            try:
                answer = _ask(loaded, {"commands": [list(command) for command in commands], "variables": variables})
            finally:
                alarm.cancel()
        assert answer, f"{commands}: not loaded, or not done within {SECONDS:.0f} s"
        said: list[str] = answer["said"].split(_END)
        assert answer["code"] == 0, f"{commands} failed: {' '.join(said)}{answer['errors']}"
        return said[:-1]


def _load(operator: Operator) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.commands"],
        cwd=ROOT,
        env=operator.environment | {"DJANGO_SETTINGS_MODULE": "kmcloud.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    weakref.finalize(operator, _end, process)
    return process


def _ask(process: subprocess.Popen[str], request: dict[str, Any]) -> dict[str, Any]:
    """Its answer; empty if it ended without one."""
    assert process.stdin is not None and process.stdout is not None
    print(json.dumps(request), file=process.stdin, flush=True)
    found: dict[str, Any] = json.loads(process.stdout.readline() or "{}")
    return found


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.wait()
    process.stdout.close()


def _serve() -> None:
    """In the process that an `Operator` started: load the service, then answer each line of the standard input."""
    import django  # noqa: PLC0415 - nothing of it is loaded where this module is only imported

    gc.disable()  # a fifth of what a start takes
    django.setup()
    gc.freeze()  # what is shared with the forks stays shared
    gc.enable()
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)


def _run(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        child = os.fork()
        if child == 0:
            _become(request, said, errors)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        errors.seek(0)
        return {"code": code, "said": said.read(), "errors": errors.read()}


def _become(request: dict[str, Any], said: IO[str], errors: IO[str]) -> NoReturn:
    """Be `manage.py`, for one command after the other."""
    code = 1
    try:
        with Path(os.devnull).open() as nothing:
            for number, file in enumerate((nothing, said, errors)):
                os.dup2(file.fileno(), number)
        os.environ.update(request["variables"])
        for arguments in request["commands"]:
            sys.argv = [MANAGE, *arguments]
            runpy.run_path(MANAGE, run_name="__main__")
            print(end=_END, flush=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - what Python would do with it at the top of a program
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
    os._exit(0)  # at once: there is nothing to tidy up, and whoever looks for processes left behind looks now
