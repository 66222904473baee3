"""The people of a registry, each with their own keys and programs: three root holders, the catalog's, two reviewers.

    registry = Registry(service, tmp_path / "people")
    registry.rita.decide("rev_…", "approve"); registry.rita.sign("rev_…"); registry.release()

Nothing here reaches into the service: keys go through `manage.py tuf_root_ceremony`, decisions through the console's
forms, signatures through `km-review`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

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

    @property
    def account(self) -> list[str]:
        """The command that makes it."""
        return ["createsuperuser", "--noinput", "--username", self.name, "--email", f"{self.name}@example.com"]

    def sign_in(self) -> None:
        self._post("/admin/login/", {"username": self.name, "password": PASSPHRASE, "next": "/admin/"})

    def make_key(self) -> None:
        """And prove to the service that it is theirs."""
        self._km_review("key", "new", answers=[PASSPHRASE, PASSPHRASE])
        page = self._browser.get(f"{self._service.url}/admin/plugins_registry/reviewerkey/register").text
        found = re.search(r"<(?:code|pre)[^>]*>\s*([^<\s]{20,})\s*</", page)
        assert found, page
        self._km_review("key", "register", answers=[PASSPHRASE, found.group(1)])

    def decide(self, revision: str, decision: str) -> None:
        """The review of this revision, whichever review's turn it is."""
        page = self._page(revision)
        form = {"decision": decision, "reason_code": "", "comment": "read it"}
        self._post(f"{page}decide/", form, form_at=f"{page}change/")

    def yank(self, revision: str, comment: str) -> None:
        """Take it off the shelf, by the console's form."""
        self._post(f"{self._page(revision)}stop/yank/", {"reason_code": "vulnerable", "comment": comment})

    def block(self, revision: str, reason: str) -> None:
        """Put its version onto the blocklist, hard, by the console's form."""
        self._post(f"{self._page(revision)}stop/block/", {"level": "hard", "reason": reason})

    def sign(self, revision: str) -> None:
        """Certify its payloads with the own key."""
        self._km_review("sign", revision, answers=[PASSPHRASE, "sign", "sign"])

    def release(self) -> None:
        """Sign what the catalog lists."""
        self._km_review("release", answers=[PASSPHRASE, "sign"])

    def _page(self, revision: str) -> str:
        """The address of a revision's page, as a search in the console finds it."""
        rows = "/admin/plugins_registry/revision/"
        found = self._browser.get(f"{self._service.url}{rows}", params={"stage": "all", "q": revision}).text
        numbers = set(re.findall(rf"{rows}(\d+)/change/", found))
        assert len(numbers) == 1, f"{revision} is {numbers}"
        return f"{rows}{numbers.pop()}/"

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
        self._found()

    def release(self) -> None:
        """Both reviewers sign the catalog."""
        for reviewer in (self.rita, self.rolf):
            reviewer.release()

    def _found(self) -> None:
        holders = ("ann", "bob", "cid")
        keys = [self._ceremony("keygen", "--out", self._key(name), *self._passphrase) for name in (*holders, "safe")]
        reviewers = (self.rita, self.rolf)
        variables = {"DJANGO_SUPERUSER_PASSWORD": PASSPHRASE}
        self._service.manage_in_turn(*(reviewer.account for reviewer in reviewers), *keys, **variables)
        for reviewer in reviewers:
            reviewer.sign_in()
            reviewer.make_key()
        roots = [word for name in holders for word in ("--root-key", f"{self._key(name)}.pub")]
        targets = ("--targets-key", f"{self._key('safe')}.pub")
        signing = [
            self._at_hand("sign", "--key", self._key(name), *self._passphrase) for name in ("ann", "cid", "safe")
        ]
        prepared = self._at_hand("prepare", *roots, *targets, "--bin-bits", "2")
        self._service.manage_in_turn(prepared, *signing, self._at_hand("assemble"))
        self.release()

    @property
    def _passphrase(self) -> tuple[str, str]:
        return "--passphrase-file", str(self._place / "passphrase")

    def _key(self, name: str) -> str:
        return str(self._place / f"{name}.pem")

    def _at_hand(self, step: str, *arguments: str) -> list[str]:
        """A step of the ceremony over the directory that goes from hand to hand."""
        return self._ceremony(step, "--dir", str(self._place / "hand"), *arguments)

    def _ceremony(self, *arguments: str) -> list[str]:
        return ["tuf_root_ceremony", *arguments, "--json"]
