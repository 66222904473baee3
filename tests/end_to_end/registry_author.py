"""An author of plugins: projects as `km-client plugin new` makes them, submitted with a key that may.

author = Author(service, laptop, key); revision = author.submit(python_plugin(author, "slow-tools", place))
author.until(revision, "published")
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import requests

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.service import Service
from tests.end_to_end.waiting import eventually
from tests.sdk.go_toolchain import run_go

WITHIN = 300.0  # `go vet` and two builds from empty caches, beside other tests
EVERY = 0.3  # asked twenty times a second, who builds and answers would be kept from building


class Author:
    """Whoever writes plugins, on a laptop whose key may submit."""

    def __init__(self, service: Service, laptop: Laptop, key: str) -> None:
        self._service, self._laptop, self._key = service, laptop, key

    def project(self, place: Path, name: str, language: str, feature: str) -> Path:
        """A project that needs `feature`, and logs every call; with its modules beside it if it is in Go."""
        made = self._laptop.km("plugin", "new", "--lang", language, name, "--directory", str(place))
        assert made.returncode == 0, made.stderr
        manifest = place / name / "manifest.json"
        said = json.loads(manifest.read_text())
        said["features"] = {"required": [feature], "optional": ["console_logging"]}
        said["configuration"]["schema"]["properties"]["slow_ms"]["default"] = 0
        manifest.write_text(json.dumps(said, indent=4))
        if language == "go":
            run_go("mod", "vendor", cwd=place / name)
        return place / name

    def submit(self, project: Path) -> str:
        """The revision's id."""
        sent = self._laptop.km("plugin", "submit", str(project), "--json")
        assert sent.returncode == 0, sent.stderr
        return str(json.loads(sent.stdout)["id"])

    def until(self, revision: str, *states: str) -> dict[str, Any]:
        """What its author sees of a revision, once it is in one of these states."""
        address = f"{self._service.url}/api/registry/submissions/{revision}"
        headers = {"Authorization": f"Bearer {self._key}"}

        def seen() -> dict[str, Any]:
            found: dict[str, Any] = requests.get(address, headers=headers, timeout=10).json()
            assert found["state"] not in {"invalid", "rejected", "scan_error"}, found
            return found if found["state"] in states else {}

        return eventually(seen, within=WITHIN, what=f"{revision} is {states}", every=EVERY)

    def until_built(self, revision: str) -> None:
        """Until its payload waits for signatures. Read from the database: `km-review` would keep a processor busy."""
        path = self._service.data_dir / "kilometers.sqlite3"
        query = (
            "SELECT payload.state, payload.log FROM plugins_registry_payloadbuild AS payload"
            " JOIN plugins_registry_revision AS revision ON revision.id = payload.revision_id"
            " WHERE revision.public_id = ?"
        )

        def built() -> bool:
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
                rows = database.execute(query, (revision,)).fetchall()
            assert all(state != "failed" for state, _ in rows), rows
            return bool(rows) and all(state == "built" for state, _ in rows)

        eventually(built, within=WITHIN, what=f"the payload of {revision} is built", every=EVERY)
