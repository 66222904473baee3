"""The demo's server side: `manage.py serve` on SQLite, its customers, and what its API and pages show."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from scripts.demo_steps import DemoError, say, wait_for

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 8318
HOST = "127.0.0.1"
START_SECONDS = 120.0  # the first start migrates, on a machine that may have one slow core
STOP_SECONDS = 20.0
REQUEST_SECONDS = 10.0
READY = re.compile(r"Kilometers is ready at (http://\S+)")


@dataclass(frozen=True, slots=True)
class Login:
    """The demo's customer."""

    email: str
    password: str
    api_key: str


class DemoService:
    """One running service; stopped, with everything it started, on the way out."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = _free_port(port)
        self.url = f"http://{HOST}:{self.port}"
        self.dashboard_url = f"{self.url}/app/"
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "manage.py", "serve", "--host", HOST, "--port", str(self.port)]
        with self._log_path.open("w") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C reaches the demo alone, which then stops the service in order
            )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        try:
            wait_for(self._is_ready, within=START_SECONDS, what="the service says that it is ready")
        except BaseException:
            self._stop()
            raise
        say(f"The service is up at {self.url} (SQLite, one command).")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def create_customer(self, tier: str = "pro") -> Login:
        email = "demo@example.com" if tier == "pro" else f"{tier}@example.com"
        command = [sys.executable, "manage.py", "create_customer", "--name", "Demo", "--tier", tier]
        command += ["--email", email, "--json"]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoError(f"`manage.py create_customer` failed: {done.stderr.strip()[-500:]}")
        made = json.loads(done.stdout)
        say(f"A customer with an API key was made ({tier.title()}).")
        return Login(made["login"], made["password"], made["api_key"])

    def stored(self, login: Login, session_id: str) -> int:
        """How many messages of one session the API has for this customer's key. Raises `DemoError` at a gap."""
        count, cursor = 0, None
        while True:
            parameters = {"session_id": session_id, "limit": "500"} | ({"cursor": cursor} if cursor else {})
            answer = requests.get(
                f"{self.url}/api/activity",
                params=parameters,
                headers={"Authorization": f"Bearer {login.api_key}"},
                timeout=REQUEST_SECONDS,
            )
            if answer.status_code != 200:
                raise DemoError(f"/api/activity answered {answer.status_code}: {answer.text[:200]}")
            page = answer.json()
            methods = [event["method"] for event in page["events"]]
            if "kilometers/recording_gap" in methods:
                raise DemoError(f"session {session_id} was not recorded as a whole: it has a gap")
            count += len(methods)
            cursor = page["next"]
            if not cursor:
                return count

    def check_pages(self, login: Login, session_ids: list[str]) -> None:
        """Log in as a person would, see every session on the page and open it. Raises `DemoError`."""
        with requests.Session() as browser:
            page = browser.get(self.dashboard_url, timeout=REQUEST_SECONDS)
            form = _LoginForm(page.text)
            form.fields |= {form.name_field: login.email, form.password_field: login.password}
            shown = browser.post(page.url, data=form.fields, headers={"Referer": page.url}, timeout=REQUEST_SECONDS)
            if shown.status_code != 200:
                raise DemoError(f"logging in at {page.url} answered {shown.status_code}")
            for session_id in session_ids:
                if session_id not in shown.text:
                    raise DemoError(f"{shown.url} does not show session {session_id}")
                opened = browser.get(f"{self.dashboard_url}sessions/{session_id}", timeout=REQUEST_SECONDS)
                if "tools/call" not in opened.text:
                    raise DemoError(f"{opened.url} ({opened.status_code}) does not show the session's calls")

    def wait(self) -> None:
        """Until the service ends or the person presses Ctrl-C."""
        assert self._process is not None
        with contextlib.suppress(KeyboardInterrupt):
            self._process.wait()
            raise DemoError(f"the service ended by itself: {self._log_tail()}")

    @property
    def _environment(self) -> dict[str, str]:
        """The person's environment without their own Kilometers settings."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KM_")}
        return inherited | {"KM_DATA_DIR": str(self.directory), "KM_PUBLIC_URL": self.url}

    @property
    def _log_path(self) -> Path:
        return self.directory / "serve.log"

    def _log_tail(self) -> str:
        return self._log_path.read_text(errors="replace")[-1000:].strip() or "(its log is empty)"

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.put(line)

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise DemoError(f"`manage.py serve` ended with {self._process.returncode}: {self._log_tail()}")
        while not self._lines.empty():
            if READY.search(self._lines.get_nowait()):
                return True
        return False

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
        self._process = None


class _LoginForm(HTMLParser):
    """The fields of the first form on a page: hidden ones with their values, and which take the name and password."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.name_field = self.password_field = ""
        self.feed(html)
        if not (self.name_field and self.password_field):
            raise DemoError("the dashboard did not ask for a login")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        field = {key: value or "" for key, value in attrs}
        if tag != "input" or "name" not in field:
            return
        match field.get("type"):
            case "hidden":
                self.fields[field["name"]] = field.get("value", "")
            case "password":
                self.password_field = field["name"]
            case "email" | "text" | None:
                self.name_field = self.name_field or field["name"]


def _free_port(wanted: int) -> int:
    """`wanted`, or a free port when another program has it."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                say(f"Port {wanted} is taken; using a free one.")
                continue
            free: int = probe.getsockname()[1]
            return free
    raise DemoError(f"no free port on {HOST}")
