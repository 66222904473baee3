"""`KM_EMAIL_URL`: what it means, what is refused, and who is told it."""

from __future__ import annotations

import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.test import override_settings

from alerts.checks import webhooks_do_not_reach_everything
from kmcloud import mail
from kmcloud.checks import letters_can_be_sent
from kmcloud.mail import Server, server
from kmcloud.roles import FILE_SUFFIX, ROLES, environment_of

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "KM_EMAIL_URL"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", Server()),
        ("smtp://localhost", Server("localhost", 25)),
        ("smtp+tls://m.example", Server("m.example", 587, starttls=True)),
        ("smtp+ssl://m.example:4650", Server("m.example", 4650, tls=True)),
        ("smtp+tls://a%40b:p%3A%2Fs@m.example:25", Server("m.example", 25, "a@b", "p:/s", starttls=True)),
    ],
)
def test_an_address_says_which_server(url: str, expected: Server) -> None:
    assert server(url) == expected


@pytest.mark.parametrize(
    "url",
    ["m.example:25", "http://m.example", "smtps://m.example", "smtp://", "smtp://m.example:x", "smtp://m.example:0",
     "smtp://u:s3cret/x@m.example", "smtp://:s3cret@m.example", "smtp://m.example/path", "smtp://m.example?tls=1"],
)  # fmt: skip
def test_what_is_no_mail_server_is_refused_without_telling_the_password(url: str) -> None:
    assert server(url) == Server()
    with override_settings(EMAIL_URL=url, EMAIL_BACKEND=mail.SMTP):
        (said,) = letters_can_be_sent()
    assert said.id == "kmcloud.E012"
    assert said.hint
    assert "s3cret" not in str(said)


def test_two_ways_at_once_are_refused_and_each_alone_is_not() -> None:
    with override_settings(EMAIL_URL="smtp://localhost", EMAIL_BACKEND=mail.CONSOLE):
        assert [each.id for each in letters_can_be_sent()] == ["kmcloud.E012"]
    with override_settings(EMAIL_URL="smtp://localhost", EMAIL_BACKEND=mail.SMTP):
        assert letters_can_be_sent() == []
    with override_settings(EMAIL_URL="", EMAIL_BACKEND=mail.CONSOLE):
        assert letters_can_be_sent() == []


def test_the_internet_is_nobodys_own_network() -> None:
    with override_settings(WEBHOOK_PRIVATE_NETWORKS=[ip_network("0.0.0.0/0")]):
        assert [each.id for each in webhooks_do_not_reach_everything()] == ["alerts.E001"]
    with override_settings(WEBHOOK_PRIVATE_NETWORKS=[ip_network("10.0.0.0/8")]):
        assert webhooks_do_not_reach_everything() == []


def test_it_is_a_secret_of_those_who_write_letters() -> None:
    given = {NAME: "smtp://x", NAME + FILE_SUFFIX: "/x"}
    assert {role for role in ROLES if NAME in environment_of(role, given)} == {"web", "maintenance"}
    assert {role for role in ROLES if NAME + FILE_SUFFIX in environment_of(role, given)} == {"web", "maintenance"}


@pytest.mark.parametrize(("role", "told"), [("maintenance", True), ("builds", False)])
def test_django_is_set_up_from_a_file_in_a_role_that_may(role: str, told: bool, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("smtp+tls://ann:s3cret@mail.example.org\n")
    shown = "s.EMAIL_BACKEND.split('.')[-2], s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_USE_TLS"
    code = f"from django.conf import settings as s; print({shown})"
    environment = {
        **os.environ,
        "KM_DATA_DIR": str(tmp_path),
        "KM_ROLE": role,
        NAME + FILE_SUFFIX: str(tmp_path / "url"),
    }
    environment["DJANGO_SETTINGS_MODULE"] = "kmcloud.settings"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == (["smtp", "mail.example.org", "587", "True"] if told else ["console", "25", "False"])
