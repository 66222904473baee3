"""bugsink as its guide for a single server sets it up: gunicorn, the worker `snappea`, SQLite; Sentry envelopes.

Differs from the defaults where they would make the comparison meaningless: its limits of 1,000 events in five minutes
are raised, and it is told not to call home. gunicorn gets as many processes as bugsink's own container file gives it.
"""

from __future__ import annotations

import json
import os
import random
import uuid
from collections.abc import Sequence
from pathlib import Path

from benchmarks._event_load import TOOLS, WORDS
from benchmarks._peer_environment import programs
from benchmarks._peer_service import PeerService, run

_SETTINGS = """
BUGSINK["PHONEHOME"] = False
for _period in ("5_MINUTES", "HOUR", "MONTH"):
    BUGSINK["MAX_EVENTS_PER_" + _period] = BUGSINK["MAX_EVENTS_PER_PROJECT_PER_" + _period] = 100_000_000
"""
_PROJECT = (
    "from projects.models import Project; made = Project.objects.create(name='bench');"
    " print('made', made.pk, made.sentry_key.hex)"
)


class Bugsink(PeerService):
    """An envelope holds one event: that is Sentry's protocol."""

    name = "bugsink"
    version = "2.6.1"  # 2.6.2 asks for a certifi that is not there
    way = "gunicorn and snappea on SQLite, Sentry envelopes of one event each, limits raised"
    query = "SELECT event_id FROM events_event"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._programs = programs(self.name, self.version)
        manage = str(self._programs / "bugsink-manage")
        conf = [str(self._programs / "bugsink-create-conf"), "--template=singleserver", "--host=127.0.0.1"]
        run([*conf, f"--base-dir={directory}"], directory)
        with (directory / "bugsink_conf.py").open("a") as settings:
            settings.write(_SETTINGS)
        run([manage, "migrate"], directory)
        run([manage, "migrate", "--database=snappea"], directory)
        said = run([manage, "shell", "--command", _PROJECT], directory)
        number, key = next(line.split()[1:] for line in said.splitlines() if line.startswith("made "))
        self.path = f"/api/{number}/envelope/"
        self.headers = {
            "X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={key}",
            "Content-Type": "application/x-sentry-envelope",
            "Host": "127.0.0.1",
        }

    def commands(self) -> Sequence[Sequence[str]]:
        workers = min(os.cpu_count() or 1, 4)
        web = [str(self._programs / "gunicorn"), f"--bind=127.0.0.1:{self.port}", f"--workers={workers}"]
        return [[*web, "bugsink.wsgi"], [str(self._programs / "bugsink-runsnappea")]]

    def request(self, count: int) -> tuple[list[str], bytes]:
        assert count == 1
        number, words = uuid.uuid4(), " ".join(random.choices(WORDS, k=60))
        event = {
            "event_id": number.hex,
            "platform": "python",
            "level": "error",
            "logentry": {"message": f"tools/call {random.choice(TOOLS)}"},
            "extra": {"message": words},
        }
        item = json.dumps(event).encode()
        head = json.dumps({"event_id": number.hex}).encode()
        return [number.hex], b"\n".join((head, b'{"type":"event","length":%d}' % len(item), item, b""))
