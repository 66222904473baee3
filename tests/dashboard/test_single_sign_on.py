"""Single sign-on against a real little OpenID Connect issuer on this machine: who it may vouch for, and who not."""

# ruff: noqa: ARG002, F811 - fixtures are asked for by name

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client

from customers import accounts
from customers.models import Customer, Member
from tests.dashboard.conftest import PASSWORD
from tests.dashboard.test_sign_in import EMAIL, ann, secret  # noqa: F401 - fixtures


class Issuer(HTTPServer):
    """An OpenID Connect issuer that vouches for whomever the test says."""

    claims: dict[str, object]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        url = self.server.url
        if self.path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo"}
            self._say({"issuer": url, "jwks_uri": f"{url}/keys"} | {key: f"{url}/{end}" for key, end in names.items()})
        else:
            self._say(self.server.claims)

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        assert asked["code_verifier"]  # PKCE
        times = {"iat": int(time.time()), "exp": int(time.time()) + 60}
        token = {"iss": self.server.url, "aud": "km", **times, **self.server.claims}
        signed = jwt.encode(token, "x" * 32, algorithm="HS256")
        self._say({"access_token": "t", "token_type": "Bearer", "id_token": signed})

    def _say(self, answer: object) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


class TestSingleSignOn:
    @pytest.fixture(autouse=True)
    def issuer(self, settings: LazySettings, customer: Customer) -> Iterator[Issuer]:
        server = Issuer(("127.0.0.1", 0), _Answers)
        server.claims = {"sub": "1", "email": EMAIL, "email_verified": True}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        app: dict[str, object] = {"provider_id": "sso", "name": "Acme ID", "client_id": "km", "secret": "s"}
        app |= {"settings": {"server_url": server.url, "oauth_pkce_enabled": True}}
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}
        settings.OIDC_ISSUER, settings.OIDC_NAME = server.url, "Acme ID"
        settings.OIDC_DOMAINS, settings.OIDC_CUSTOMER = [], ""
        yield server
        server.shutdown()
        server.server_close()

    def come_in(self) -> tuple[Client, Any]:
        """Through the issuer and back."""
        browser = Client()
        asked = urlsplit(browser.get("/app/account/sso/sso/").headers["Location"])
        state = parse_qs(asked.query)["state"][0]
        answer = browser.get("/app/account/sso/sso/callback/", {"code": "c", "state": state})
        return browser, answer

    def test_lets_in_who_has_an_account_here(self, ann: User) -> None:
        browser, answer = self.come_in()
        assert answer.headers["Location"] == "/app/"
        assert browser.get("/app/settings/usage").status_code == 200

    def test_asks_for_the_second_factor_too(self, secret: str) -> None:
        browser, answer = self.come_in()
        assert answer.headers["Location"] == "/app/account/factors/authenticate/"
        assert browser.get("/app/settings/usage").status_code == 302

    @pytest.mark.parametrize("claims", [{"email_verified": False}, {"email": ""}, {"email": "eve@acme.example"}])
    def test_refuses_who_is_not_verified_or_not_known(
        self, claims: dict[str, object], issuer: Issuer, ann: User
    ) -> None:
        issuer.claims = {**issuer.claims, **claims}
        browser, answer = self.come_in()
        assert answer.status_code == 403
        assert browser.get("/app/settings/usage").status_code == 302
        assert User.objects.count() == 1

    def test_refuses_another_domain_even_to_who_has_an_account(self, ann: User, settings: LazySettings) -> None:
        settings.OIDC_DOMAINS = ["else.example"]
        assert self.come_in()[1].status_code == 403

    def test_makes_whoever_is_of_the_domain_a_member_where_the_setting_says_so(
        self, customer: Customer, settings: LazySettings
    ) -> None:
        settings.OIDC_DOMAINS, settings.OIDC_CUSTOMER = ["acme.example"], customer.public_id
        browser, _ = self.come_in()
        assert browser.get("/app/settings/usage").status_code == 200
        member = Member.objects.get(user__username=EMAIL)
        assert (member.customer, member.role, member.user.has_usable_password()) == (customer, "viewer", False)

    def test_of_another_subject_does_not_take_over_an_account_that_is_connected(
        self, ann: User, issuer: Issuer, customer: Customer, now: datetime
    ) -> None:
        self.come_in()
        accounts.add_member(customer, "bob@acme.example", PASSWORD, "viewer", at=now)
        issuer.claims = {"sub": "1", "email": "bob@acme.example", "email_verified": True}
        assert self.come_in()[1].status_code == 403
