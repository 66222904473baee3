"""Keys that do not work: said clearly where a person looks, harmless to the stream, and nothing is lost meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from km_protocol import api_keys

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.raw_client import RawClient
from tests.end_to_end.service import Account, Service
from tests.end_to_end.test_stored import assert_everything_stored
from tests.end_to_end.waiting import eventually

ECHO = [sys.executable, str(Path(__file__).resolve().parent.parent / "mcp_servers" / "echo_server.py")]
NOBODYS_KEY = str(api_keys.compose("live", "0" * api_keys.BODY_LENGTH))  # well formed, and never issued


def converse(client: RawClient) -> None:
    """A short session that must work whatever the key."""
    client.initialize("2025-11-25")
    for number in range(20):
        assert client.call_tool("echo", {"text": f"{number}"})["result"]
    assert client.finish() == 0


def test_a_mistyped_key_is_refused_before_any_server_is_asked(laptop: Laptop, account: Account) -> None:
    wrong = "A" if account.api_key[-8] != "A" else "B"
    typo = account.api_key[:-8] + wrong + account.api_key[-7:]
    done = laptop.km("init", "--api-key", typo, "--api-url", "http://127.0.0.1:1")
    assert done.returncode != 0
    assert "typing mistake" in done.stderr and "hint:" in done.stderr
    assert typo not in done.stderr + done.stdout
    assert not (laptop.config_dir / "credentials.toml").exists()


def test_a_key_that_nobody_has_is_refused_by_init(laptop: Laptop, service: Service) -> None:
    done = laptop.km("init", "--api-key", NOBODYS_KEY, "--api-url", service.url)
    assert done.returncode != 0
    assert "hint:" in done.stderr
    assert NOBODYS_KEY not in done.stderr + done.stdout


@pytest.mark.parametrize(("ruin", "word"), [("revoke_key", "revoked"), ("expire_key", "expired")])
def test_a_key_that_stopped_working_is_reported_and_what_it_could_not_send_is_kept(
    ruin: str, word: str, laptop: Laptop, service: Service, own_account: Account, session_id: str
) -> None:
    laptop.init(own_account, service.url)
    getattr(service, ruin)(own_account)
    with RawClient(laptop.monitor_command(*ECHO, session_id=session_id), laptop.environment) as client:
        converse(client)
    eventually(lambda: word in laptop.km("status").stdout, what=f"`status` says that the key is {word}")
    doctor = laptop.km("doctor")
    assert doctor.returncode != 0 and word in doctor.stdout
    assert laptop.journals(), "what could not be sent is kept"
    assert not service.stored(session_id)

    laptop.init(service.issue_key(own_account), service.url)
    assert_everything_stored(client, service, session_id)


def test_a_key_of_nobody_in_the_environment_harms_no_stream(laptop: Laptop, service: Service, session_id: str) -> None:
    environment = laptop.environment | {"KM_API_KEY": NOBODYS_KEY, "KM_API_URL": service.url}
    with RawClient(laptop.monitor_command(*ECHO, session_id=session_id), environment) as client:
        converse(client)
    assert laptop.journals()
    assert not service.stored(session_id)


def test_no_key_at_all_harms_no_stream_and_is_said(laptop: Laptop, session_id: str) -> None:
    with RawClient(laptop.monitor_command(*ECHO, session_id=session_id), laptop.environment) as client:
        converse(client)
    doctor = laptop.km("doctor")
    assert doctor.returncode != 0 and "km-client login" in doctor.stdout
