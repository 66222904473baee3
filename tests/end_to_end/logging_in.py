"""A person with a browser, and `km-client login` under way on a laptop.

login = Login(laptop.environment, service.url)
Person(service.url, account).decide(login.code, "allow")
code, out, err = login.end()
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping

import requests

from tests.end_to_end.laptop import KM_CLIENT
from tests.end_to_end.service import Account

CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
CUSTOMER = re.compile(r'name="customer" value="([^"]+)"')
CODE = re.compile(r"confirm the code\s+([B-Z]{4}-[B-Z]{4})")
FLAGS = ("--no-browser", "--no-plugins")


class Person:
    """A browser without JavaScript, signed in."""

    def __init__(self, url: str, account: Account) -> None:
        self._url, self._browser = url, requests.Session()
        self.post("/app/login", {"username": account.email, "password": account.password})

    def get(self, path: str) -> str:
        return self._browser.get(self._url + path, timeout=30).text

    def post(self, path: str, form: dict[str, str], *, form_at: str = "") -> str:
        token = CSRF.search(self.get(form_at or path))
        assert token is not None
        fields = {**form, "csrfmiddlewaretoken": token[1]}
        answer = self._browser.post(self._url + path, fields, headers={"Referer": self._url + path}, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.text

    def decide(self, code: str, decision: str) -> str:
        page = f"/app/device?user_code={code}"
        customer = CUSTOMER.search(self.get(page))
        assert customer is not None
        fields = {"user_code": code, "decision": decision, "customer": customer[1]}
        return self.post("/app/device/decide", fields, form_at=page)


class Login:
    """`km-client login` under way on a laptop, whose variables are `environment`; `said` is what it showed so far."""

    def __init__(self, environment: Mapping[str, str], url: str, *flags: str) -> None:
        self.said = ""
        self.process = subprocess.Popen(
            [KM_CLIENT, "login", *FLAGS, "--api-url", url, *flags],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.code = self._read_code()

    def _read_code(self) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if "gives up" in line and (found := CODE.search(self.said)):  # the last it says before it waits
                return found[1]
        raise AssertionError(f"no code was shown: {self.said}")

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err
