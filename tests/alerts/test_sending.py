"""From an incident to its letter and its webhook: real receivers on loopback, which fail, stall, move and go away."""

from __future__ import annotations

import base64
import datetime as dt
import email
import hashlib
import hmac
import json
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django.fixtures import Settings

from alerts import destinations, forgetting, sending, webhooks
from alerts.errors import NotPossible, TooMany
from alerts.models import Attempt, Delivery, Destination, Incident
from alerts.sending import Sent, send_due
from core.errors import InvalidRequest
from customers.accounts import add_member
from customers.models import AuditEntry, Customer
from tests.alerts.conftest import Clock, a_rule, calls, rounds
from tests.alerts.receivers import MailServer, Receiver, Reply, free_port

ANN = "user:ann"
State = Delivery.State


def hook(customer: Customer, clock: Clock, url: str) -> tuple[Destination, str]:
    return destinations.add_webhook(customer, "Pager", url, at=clock(), actor=ANN)


def an_incident(customer: Customer, clock: Clock, *to: Destination) -> Incident:
    calls(customer, clock(), count=40, fail=10)
    a_rule(customer, clock(), *to, window_minutes=5)
    rounds(clock, 1)
    return Incident.objects.get()


def verified(body: bytes, headers: dict[str, str], secret: str) -> bool:
    """As a receiver does by the text of Standard Webhooks 1.0, and by nothing of ours."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mine = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{mine}" in headers["webhook-signature"].split(" ")


def test_the_specifications_own_example_is_signed_as_it_says() -> None:
    body = b'{"test": 2432232314}'
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = webhooks.signatures("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, [secret])
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_tells_of_the_incident_and_of_its_end_and_is_signed(
    acme: Customer, clock: Clock, receiver: Receiver, kicks: list[str]
) -> None:
    destination, secret = hook(acme, clock, receiver.url)
    incident = an_incident(acme, clock, destination)
    assert send_due(clock=clock) == Sent(delivered=1)
    rounds(clock, 15)
    assert send_due(clock=clock) == Sent(delivered=1)
    opened, resolved = receiver.received
    for each in (opened, resolved):
        assert verified(each.body, each.headers, secret)
        assert not verified(each.body + b" ", each.headers, secret)
    told = json.loads(opened.body)
    assert told["type"] == "incident.opened"
    assert told["data"]["summary"].startswith("25 % of 40 requests failed within 5 minutes")
    assert (told["data"]["incident"], told["data"]["measured"]) == (incident.public_id, 25.0)
    assert told["data"]["url"].endswith(f"/app/alerts/incidents/{incident.public_id}")
    assert json.loads(resolved.body)["data"]["resolved_at"]
    assert len(set(receiver.ids)) == 2
    assert abs(int(opened.headers["webhook-timestamp"]) - clock().timestamp()) < 3600


def test_members_are_written_to_by_a_real_mail_server(acme: Customer, clock: Clock, mail_server: MailServer) -> None:
    people = [
        add_member(acme, f"{name}@acme.example", "correct horse 1", "member", at=clock()) for name in ("ann", "bob")
    ]
    to = destinations.add_email(acme, "On call", [each.pk for each in people], at=clock(), actor=ANN)
    incident = an_incident(acme, clock, to)
    assert send_due(clock=clock) == Sent(delivered=2)
    assert {address for address, _ in mail_server.letters} == {"ann@acme.example", "bob@acme.example"}
    letter = email.message_from_string(mail_server.letters[0][1], policy=email.policy.default)
    assert letter["Subject"] == "Alert: Error rate"
    assert letter["Auto-Submitted"] == "auto-generated"
    ids = {f"<{each.public_id}@127.0.0.1>" for each in Delivery.objects.all()}
    assert letter["Message-ID"] in ids
    assert incident.public_id in letter.get_content()
    assert "25 % of 40 requests failed" in letter.get_content()


def test_a_mail_server_that_refuses_is_asked_again_with_the_same_id(
    acme: Customer, clock: Clock, mail_server: MailServer
) -> None:
    ann = add_member(acme, "ann@acme.example", "correct horse 1", "member", at=clock())
    an_incident(acme, clock, destinations.add_email(acme, "Ann", [ann.pk], at=clock(), actor=ANN))
    mail_server.refusal = "451 greylisted, come back"
    assert send_due(clock=clock) == Sent(put_off=1)
    said = Attempt.objects.get()
    assert (said.status, said.error) == (451, "SMTPRecipientsRefused")
    assert "greylisted" in said.answer
    mail_server.refusal = ""
    clock.forward(minutes=1)
    assert send_due(clock=clock) == Sent(delivered=1)
    assert len(mail_server.letters) == 1


def test_somebody_who_left_is_not_written_to(acme: Customer, clock: Clock, mail_server: MailServer) -> None:
    ann = add_member(acme, "ann@acme.example", "correct horse 1", "member", at=clock())
    an_incident(acme, clock, destinations.add_email(acme, "Ann", [ann.pk], at=clock(), actor=ANN))
    ann.delete()
    assert send_due(clock=clock) == Sent(failed=1)
    assert not mail_server.letters


def test_failures_are_tried_again_under_one_id_until_one_arrives(
    acme: Customer, clock: Clock, receiver: Receiver
) -> None:
    receiver.replies = [Reply(500, body=b"oh\0 no" + b"x" * 9_000), Reply(301, {"Location": "/elsewhere"}), Reply(204)]
    destination, secret = hook(acme, clock, receiver.url)
    an_incident(acme, clock, destination)
    for expected in (Sent(put_off=1), Sent(put_off=1), Sent(delivered=1)):
        assert send_due(clock=clock) == expected
        assert send_due(clock=clock) == Sent()  # not before its time
        clock.forward(minutes=1)
    assert len(receiver.received) == 3
    assert len(set(receiver.ids)) == 1
    assert len({each.body for each in receiver.received}) == 1
    assert {each.path for each in receiver.received} == {"/hook"}  # nothing was followed
    assert all(verified(each.body, each.headers, secret) for each in receiver.received)
    first, second, third = Attempt.objects.all()
    assert (first.status, second.status, third.status) == (500, 301, 204)
    assert len(first.answer) == webhooks.KEPT_BYTES and "\0" not in first.answer
    assert "not followed" in second.error


def test_pauses_grow_with_jitter_up_to_hours_and_never_undercut_what_was_asked_for() -> None:
    middle = [sending.pause(tries, chance=lambda: 0.5) for tries in range(30)]
    assert middle[:3] == [timedelta(seconds=15), timedelta(seconds=30), timedelta(seconds=60)]
    assert middle == sorted(middle)
    assert middle[-1] == sending.LONGEST_PAUSE
    assert sending.pause(0, chance=lambda: 0.0) < middle[0] < sending.pause(0, chance=lambda: 1.0)
    assert sending.pause(0, timedelta(hours=2)) == timedelta(hours=2)
    assert sending.pause(20, timedelta(seconds=1)) > timedelta(hours=2)


@pytest.mark.parametrize("header", ["120", "date"])
def test_retry_after_is_waited_for(header: str, acme: Customer, clock: Clock, receiver: Receiver) -> None:
    if header == "date":
        moment = dt.datetime.now(dt.UTC) + timedelta(seconds=125)
        header = moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
    receiver.replies = [Reply(429, {"Retry-After": header}), Reply()]
    an_incident(acme, clock, hook(acme, clock, receiver.url)[0])
    assert send_due(clock=clock) == Sent(put_off=1)
    clock.forward(seconds=110)
    assert send_due(clock=clock) == Sent()
    clock.forward(seconds=30)
    assert send_due(clock=clock) == Sent(delivered=1)


def test_a_day_later_it_is_given_up_and_the_log_says_so(acme: Customer, clock: Clock, receiver: Receiver) -> None:
    receiver.replies = [Reply(503)]
    an_incident(acme, clock, hook(acme, clock, receiver.url)[0])
    for _ in range(80):
        send_due(clock=clock)
        clock.forward(minutes=20)
    delivery = Delivery.objects.get(about="incident.opened")
    assert delivery.state == State.FAILED
    assert delivery.finished_at is not None
    assert delivery.finished_at - delivery.created_at < timedelta(days=1, minutes=20)  # a round each
    assert 10 <= delivery.tries == delivery.attempts.count() <= 25


def test_410_switches_the_destination_off_and_nothing_more_is_sent_there(
    acme: Customer, clock: Clock, receiver: Receiver
) -> None:
    receiver.replies = [Reply(410)]
    destination, _ = hook(acme, clock, receiver.url)
    destinations.test(destination, at=clock(), actor=ANN)
    destinations.test(destination, at=clock(), actor=ANN)
    an_incident(acme, clock, destination)
    send_due(clock=clock)
    destination.refresh_from_db()
    assert destination.disabled_because == "it answered 410 Gone"
    assert not Delivery.objects.filter(state=State.WAITING).exists()
    assert AuditEntry.objects.filter(action="alert_destination.switched_off", actor="system").exists()
    before = len(receiver.received)
    rounds(clock, 20)
    send_due(clock=clock)
    assert len(receiver.received) == before
    with pytest.raises(NotPossible, match="switched off"):
        destinations.test(destination, at=clock(), actor=ANN)


@pytest.mark.parametrize("reply", [Reply(stall=True), Reply(drip=True)], ids=["stalls", "drips"])
def test_who_stalls_or_drips_is_cut_off_in_time(reply: Reply, receiver: Receiver) -> None:
    receiver.replies = [reply]
    answer = webhooks.post(receiver.url, b"{}", {}, [ip_network("127.0.0.0/8")], deadline_seconds=0.6)
    assert (answer.status, answer.error) == (0, "no answer within 0.6 s")
    assert 500 < answer.duration_ms < 3_000


def test_one_who_stalls_holds_nobody_up(
    acme: Customer, globex: Customer, clock: Clock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as slow:
        slow.replies = [Reply(stall=True)]
        monkeypatch.setattr(webhooks.post, "__kwdefaults__", {"deadline_seconds": 1.0})
        stuck, _ = hook(acme, clock, slow.url)
        for _ in range(12):
            destinations.test(stuck, at=clock(), actor=ANN)
        clock.forward(seconds=1)
        destinations.test(hook(globex, clock, receiver.url)[0], at=clock(), actor=ANN)
        batch = sending._claim(clock())
        assert [each.customer_id for each in batch].count(acme.pk) == sending.AT_ONCE_EACH
        assert [each.customer_id for each in batch].count(globex.pk) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://localhost:1/", "not on the public internet"),
        ("https://10.0.0.7/", "not on the public internet"),
        ("https://169.254.169.254/latest/meta-data/", "not on the public internet"),
        ("https://[::1]/", "not on the public internet"),
        ("https://no-such-name.invalid/", "cannot be resolved"),
    ],
)
def test_an_address_of_our_own_is_never_connected_to(url: str, said: str, acme: Customer, clock: Clock) -> None:
    an_incident(acme, clock, hook(acme, clock, url)[0])
    assert send_due(clock=clock) == Sent(put_off=1)
    assert said in Attempt.objects.get().error
    assert Attempt.objects.get().status == 0


def test_http_needs_a_network_of_the_operators(
    acme: Customer, clock: Clock, settings: Settings, loopback: None
) -> None:
    destination, _ = hook(acme, clock, "http://localhost:1/")
    an_incident(acme, clock, destination)
    settings.WEBHOOK_PRIVATE_NETWORKS = []  # allowed when it was entered, and no more
    assert send_due(clock=clock) == Sent(put_off=1)
    assert "begins with https://" in Attempt.objects.get().error
    with pytest.raises(InvalidRequest):
        hook(acme, clock, "http://localhost:1/")


def test_nobody_at_the_port_is_a_failure_that_is_logged(acme: Customer, clock: Clock, loopback: None) -> None:
    an_incident(acme, clock, hook(acme, clock, f"http://127.0.0.1:{free_port()}/")[0])
    assert send_due(clock=clock) == Sent(put_off=1)
    assert "ConnectionRefusedError" in Attempt.objects.get().error


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate for `localhost` with its key, trusted by this process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "localhost.pem"
    path.write_bytes(pem + private)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    webhooks._trust.cache_clear()
    return path


def test_https_is_checked_by_the_hosts_name_at_the_pinned_address(certificate: Path) -> None:
    ours = [ip_network("127.0.0.0/8")]
    with Receiver(certificate) as receiver:
        answer = webhooks.post(receiver.url, b"{}", {}, ours)
        assert (answer.status, answer.error) == (204, "")
        assert receiver.received[0].headers["host"] == f"localhost:{receiver.port}"
        other = webhooks.post(receiver.url.replace("localhost", "127.0.0.1"), b"{}", {}, ours)
        assert "certificate" in other.error.lower()
    webhooks._trust.cache_clear()


def test_a_stranger_to_our_trust_is_refused(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    webhooks._trust.cache_clear()
    with Receiver(certificate) as receiver:
        assert "certificate" in webhooks.post(receiver.url, b"{}", {}, [ip_network("127.0.0.0/8")]).error.lower()
        assert receiver.received == []


def test_a_rotated_secret_signs_beside_the_old_one_for_a_day(acme: Customer, clock: Clock, receiver: Receiver) -> None:
    destination, old = hook(acme, clock, receiver.url)
    new = destinations.rotate(destination, at=clock(), actor=ANN)
    assert old != new
    destinations.test(destination, at=clock(), actor=ANN)
    send_due(clock=clock)
    clock.forward(days=1, seconds=1)
    destinations.test(destination, at=clock(), actor=ANN)
    send_due(clock=clock)
    during, after = receiver.received
    assert verified(during.body, during.headers, old) and verified(during.body, during.headers, new)
    assert verified(after.body, after.headers, new) and not verified(after.body, after.headers, old)
    entries = AuditEntry.objects.filter(action__startswith="alert_")
    assert entries.exists()
    assert not [each for each in entries if old in str(each.details) or new in str(each.details)]


def test_a_killed_worker_leaves_its_delivery_to_be_sent_again_under_the_same_id(
    acme: Customer, clock: Clock, receiver: Receiver
) -> None:
    an_incident(acme, clock, hook(acme, clock, receiver.url)[0])
    (claimed,) = sending._claim(clock())
    sending._try(claimed, clock())  # and here it dies, before anything is written
    assert send_due(clock=clock) == Sent()
    clock.forward(seconds=sending.CLAIM.total_seconds() + 1)
    assert send_due(clock=clock) == Sent(delivered=1)
    assert len(receiver.received) == 2
    assert len(set(receiver.ids)) == 1


def test_a_worker_that_comes_back_too_late_writes_nothing(acme: Customer, clock: Clock, receiver: Receiver) -> None:
    an_incident(acme, clock, hook(acme, clock, receiver.url)[0])
    (claimed,) = sending._claim(at := clock())
    clock.forward(minutes=5)
    assert send_due(clock=clock) == Sent(delivered=1)
    assert sending._settle(claimed, webhooks.Answer(500), at) == Sent()
    assert Delivery.objects.get().state == State.DELIVERED


def test_sent_again_goes_out_under_the_same_id(acme: Customer, clock: Clock, receiver: Receiver) -> None:
    an_incident(acme, clock, hook(acme, clock, receiver.url)[0])
    waits = Delivery.objects.get()
    with pytest.raises(NotPossible):
        destinations.send_again(waits, at=clock(), actor=ANN)
    send_due(clock=clock)
    destinations.send_again(waits, at=clock(), actor=ANN)
    send_due(clock=clock)
    assert receiver.ids == [waits.public_id] * 2
    assert waits.attempts.count() == 2


def test_tests_are_not_a_machine_for_requests(acme: Customer, clock: Clock, receiver: Receiver) -> None:
    destination, _ = hook(acme, clock, receiver.url)
    for _ in range(destinations.MAX_ASKED_AN_HOUR):
        destinations.test(destination, at=clock(), actor=ANN)
    with pytest.raises(TooMany):
        destinations.test(destination, at=clock(), actor=ANN)
    clock.forward(hours=1, seconds=1)
    destinations.test(destination, at=clock(), actor=ANN)


def test_there_is_a_limit_of_destinations_and_of_rules(acme: Customer, clock: Clock) -> None:
    for _ in range(destinations.MAX_DESTINATIONS):
        hook(acme, clock, "https://hooks.example.org/")
    with pytest.raises(TooMany):
        hook(acme, clock, "https://hooks.example.org/")
    for _ in range(50):
        a_rule(acme, clock())
    with pytest.raises(TooMany):
        a_rule(acme, clock())


def test_another_customers_members_cannot_be_written_to(acme: Customer, globex: Customer, clock: Clock) -> None:
    theirs = add_member(globex, "eve@globex.example", "correct horse 1", "owner", at=clock())
    with pytest.raises(InvalidRequest):
        destinations.add_email(acme, "Eve", [theirs.pk], at=clock(), actor=ANN)


def test_old_messages_and_incidents_are_forgotten_and_nothing_that_waits(
    acme: Customer, clock: Clock, receiver: Receiver
) -> None:
    an_incident(acme, clock, hook(acme, clock, receiver.url)[0])
    rounds(clock, 15)
    first = Delivery.objects.order_by("id")[0]
    Delivery.objects.filter(pk=first.pk).update(state=State.DELIVERED)
    gone = forgetting.forget(now=clock() + timedelta(days=31))
    assert (gone.deliveries, gone.incidents) == (1, 0)
    assert forgetting.forget(now=clock() + timedelta(days=366)).incidents == 1
