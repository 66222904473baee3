"""The people of a registry, each with their own keys and programs: three root holders, the catalog's, two reviewers.

    registry = Registry(service, tmp_path / "people")
    registry.rita.decide("approve"); registry.rita.sign("rev_…"); registry.release()

Nothing here reaches into the service: keys go through `manage.py tuf_root_ceremony`, decisions through the console's
forms, signatures through `km-review`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from tests.end_to_end.service import Service

KM_REVIEW = str(Path(sys.executable).with_name("km-review"))
PASSPHRASE = "correct horse battery staple"
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Reviewer:
    """A staff account with both duties, a browser that is signed in, and a key of their own."""

    def __init__(self, service: Service, place: Path, name: str) -> None:
        self.name, self._service = name, service
        self.key = place / f"{name}.pem"
        self._browser = requests.Session()
        account = ("--username", name, "--email", f"{name}@example.com")
        service.manage("createsuperuser", "--noinput", *account, DJANGO_SUPERUSER_PASSWORD=PASSPHRASE)
        self._post("/admin/login/", {"username": name, "password": PASSPHRASE, "next": "/admin/"})

    def make_key(self) -> None:
        """And prove to the service that it is theirs."""
        self._km_review("key", "new", answers=[PASSPHRASE, PASSPHRASE])
        page = self._browser.get(f"{self._service.url}/admin/plugins_registry/reviewerkey/register").text
        found = re.search(r"<(?:code|pre)[^>]*>\s*([^<\s]{20,})\s*</", page)
        assert found, page
        self._km_review("key", "register", answers=[PASSPHRASE, found.group(1)])

    def decide(self, decision: str) -> None:
        """The review of the one revision in the queue, whichever review's turn it is."""
        queue = "/admin/plugins_registry/revision/"
        waiting = set(re.findall(rf"{queue}(\d+)/change/", self._browser.get(self._service.url + queue).text))
        assert len(waiting) == 1, f"in the queue: {waiting}"
        page = f"{queue}{waiting.pop()}/"
        form = {"decision": decision, "reason_code": "", "comment": "read it"}
        self._post(f"{page}decide/", form, form_at=f"{page}change/")

    def can_sign(self, revision: str) -> bool:
        """Whether a payload of it was built and waits for this signature."""
        shown = json.loads(self._km_review("show", revision, "--json", answers=[PASSPHRASE]))
        return not shown["why_not"] and any(not build["signed_by_you"] for build in shown["builds"])

    def sign(self, revision: str) -> None:
        """Certify its payloads with the own key."""
        self._km_review("sign", revision, answers=[PASSPHRASE, "sign", "sign"])

    def release(self) -> None:
        """Sign what the catalog lists."""
        self._km_review("release", answers=[PASSPHRASE, "sign"])

    def _post(self, path: str, form: dict[str, str], *, form_at: str = "") -> None:
        url = self._service.url
        token = CSRF.search(self._browser.get(url + (form_at or path)).text)
        assert token, f"no form at {form_at or path}"
        answer = self._browser.post(
            url + path, form | {"csrfmiddlewaretoken": token.group(1)}, headers={"Referer": url + path}, timeout=30
        )
        assert answer.status_code == 200, f"{path}: {answer.status_code}"

    def _km_review(self, *arguments: str, answers: list[str]) -> str:
        done = subprocess.run(
            [KM_REVIEW, "--server", self._service.url, "--key", str(self.key), *arguments],
            input="".join(f"{answer}\n" for answer in answers),
            env={**os.environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"km-review {arguments}: {done.stdout}{done.stderr}"
        return done.stdout


class Registry:
    """A registry of this service, founded by its people."""

    def __init__(self, service: Service, place: Path) -> None:
        self._service, self._place = service, place
        place.mkdir()
        (place / "passphrase").write_text(f"{PASSPHRASE}\n")
        self.rita, self.rolf = (Reviewer(service, place, name) for name in ("rita", "rolf"))
        for reviewer in (self.rita, self.rolf):
            reviewer.make_key()
        self._found()

    def _found(self) -> None:
        holders = ("ann", "bob", "cid")
        for name in (*holders, "safe"):
            self._ceremony("keygen", "--out", str(self._place / f"{name}.pem"), *self._passphrase)
        roots = [word for name in holders for word in ("--root-key", str(self._place / f"{name}.pem.pub"))]
        hand = ("--dir", str(self._place / "hand"))
        targets = ("--targets-key", str(self._place / "safe.pem.pub"))
        self._ceremony("prepare", *hand, *roots, *targets, "--bin-bits", "2")
        for name in ("ann", "cid", "safe"):
            self._ceremony("sign", *hand, "--key", str(self._place / f"{name}.pem"), *self._passphrase)
        self._ceremony("assemble", *hand)
        self.release()

    def release(self) -> None:
        """Both reviewers sign the catalog."""
        for reviewer in (self.rita, self.rolf):
            reviewer.release()

    @property
    def _passphrase(self) -> tuple[str, str]:
        return "--passphrase-file", str(self._place / "passphrase")

    def _ceremony(self, *arguments: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._service.manage("tuf_root_ceremony", *arguments, "--json"))
        return said
