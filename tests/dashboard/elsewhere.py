"""One of everything that a customer may have, with one word in every text of it; and which address names what.

    everything = everything_of(customer, world, word="zanzibar", at=moment)
    everything.ids["rules/<str:public_id>"]        → "rul_…", what that part of an address is for this customer

An id is looked up by the piece of a route that holds it (`tests.dashboard.addresses`): a route nobody thought of has
none, and its test fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.models import User
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData

from alerts import destinations, incidents, rules
from alerts.evaluation import Reading
from alerts.models import Delivery
from alerts.rules import Draft
from customers import api_keys, invitations, machines
from customers.authentication import Principal
from customers.machines import MachineReport, PluginReport
from customers.models import Customer, Machine, Member
from events.definitions_models import ToolChange, ToolDefinition
from plugins_registry import states
from plugins_registry.lifecycle import Action
from plugins_registry.models import Plugin, Review, Revision
from tests.dashboard.traffic import Talk
from tests.plugins_registry.console.world import World, manifest


@dataclass(frozen=True, slots=True)
class Everything:
    """`ids` has what each piece of a route is for this customer; `boss` is its owner."""

    customer: Customer
    boss: Member
    ids: dict[str, object]
    words: dict[str, str]


def everything_of(customer: Customer, world: World, *, word: str, at: datetime) -> Everything:
    """Make it. `word` stands in every text that the customer, its servers or its people could have written."""
    boss = Member.objects.create(
        customer=customer,
        user=_user(f"boss-{customer.pk}@example.com"),
        role="owner",
        created_at=at,
    )
    plugin, revision, waiting = _registry(customer, world, word)
    ids = {
        **_traffic(customer, word, at),
        **_alerts(customer, boss, word, at),
        **_people(customer, boss, word, at),
        "catalog/<str:plugin_id>": plugin.public_id,
        ">/<str:revision_id>": revision.public_id,
        "submissions/<str:public_id>": waiting.public_id,
        "submissions/<str:revision_id>": waiting.public_id,
        "machines/<str:machine_id>": _machine(customer, word, at).public_id,
        "director/<str:customer>": customer.public_id,
        ">/<path:path>": "timestamp.json",
    }
    return Everything(customer, boss, ids, {"session": f"s {word}", "server": f"server {word}", "tool": f"tool {word}"})


def _traffic(customer: Customer, word: str, at: datetime) -> dict[str, object]:
    server = {"name": f"server {word}", "version": f"1 {word}", "title": f"title {word}"}
    client = {"name": f"client {word}", "version": f"2 {word}"}
    talk = Talk(f"s {word}", started_at=at - timedelta(seconds=30), server=server, client=client)
    talk.answer(talk.request("initialize", {"protocolVersion": word, "clientInfo": client}), {"serverInfo": server})
    schema = {"type": "object", "properties": {f"field {word}": {"type": "string", "description": word}}}
    for text in (word, f"{word} changed"):
        listed = {"name": f"tool {word}", "title": word, "description": text, "inputSchema": schema | {"title": text}}
        talk.answer(talk.request("tools/list"), {"tools": [listed]})
    asked = talk.request("tools/call", {"name": f"tool {word}", "arguments": {word: word}}, tool=f"tool {word}")
    talk.answer(asked, {"content": [{"type": "text", "text": word}]}, after_ms=1800)
    talk.answer(talk.request(f"method/{word}", {word: word}), error={"code": -32000, "message": word})
    talk.notify(f"notifications/{word}", {word: word})
    talk.gap(word, 1, 1)
    talk.line(word.encode())
    talk.store(customer)
    definitions = ToolDefinition.objects.filter(tool__server__customer_id=customer.pk)
    changes = ToolChange.objects.filter(tool__server__customer_id=customer.pk)
    return {
        "events/<uuid:event_id>": asked["id"],
        "sessions/<session_id:session_id>": f"s {word}",
        "exchanges/<uuid:event_id>": asked["id"],
        "messages/<uuid:event_id>": asked["id"],
        "definitions/<int:definition_id>": definitions.latest("id").pk,
        "changes/<int:change_id>": changes.latest("id").pk,
    }


def _alerts(customer: Customer, boss: Member, word: str, at: datetime) -> dict[str, object]:
    actor = f"user:{boss.user.username}"
    path = re.sub(r"[^!-~]", "_", word)
    url = f"https://hooks.example.org/{path}"
    hook, _ = destinations.add_webhook(customer, f"hook {word}", url, at=at, actor=actor)
    destinations.add_email(customer, f"mail {word}", [boss.pk], at=at, actor=actor)
    draft = Draft(
        "errors",
        f"rule {word}",
        f"server {word}",
        f"method/{word}",
        f"tool {word}",
        5.0,
        15,
        20,
        None,
        None,
        30,
        [hook],
    )
    rule = rules.create(customer, draft, at=at, actor=actor)
    incident = incidents.open_one(rule, Reading(50.0, 40), at=at)
    assert incident is not None
    incidents.acknowledge(incident, at=at, actor=actor)
    delivery = Delivery.objects.get(incident=incident)
    delivery.attempts.create(at=at, status=500, error=f"error {word}", answer=f"answer {word}", duration_ms=5)
    return {
        "incidents/<str:public_id>": incident.public_id,
        "rules/<str:public_id>": rule.public_id,
        "destinations/<str:public_id>": hook.public_id,
        "messages/<str:public_id>": delivery.public_id,
    }


def _people(customer: Customer, boss: Member, word: str, at: datetime) -> dict[str, object]:
    user = _user(f"{word[:40]}-{customer.pk}@example.com", first_name=word, last_name=word)
    member = Member.objects.create(customer=customer, user=user, role="member", created_at=at)
    invited = invitations.invite(customer, f"new-{customer.pk}@example.com", "viewer", by=boss, at=at).invitation
    key = api_keys.issue(customer, f"key {word}"[:80], at=at, actor=f"user:{boss.user.username}").key
    passkey = Authenticator.objects.create(
        user=boss.user, type="webauthn", data={"name": word, "credential": _credential()}
    )
    browser = UserSession.objects.create(
        user=boss.user, ip="203.0.113.9", user_agent=f"Browser {word}", session_key=f"{customer.pk:032d}"
    )
    return {
        "members/<int:member_id>": member.pk,
        "invitations/<str:public_id>": invited.public_id,
        "keys/<str:key_id>": key.public_id,
        "sessions/<int:session_id>": browser.pk,
        "passkeys/<int:pk>": passkey.pk,
    }


def _machine(customer: Customer, word: str, at: datetime) -> Machine:
    who = Principal(customer.pk, customer.public_id, "", "pro", frozenset(), None, 90, frozenset(), 1, "key_1")
    short = word[:30]
    plugin = PluginReport(f"plugin {short}", short, short, short, [short])
    told = MachineReport(f"machine {short}", f"name {short}", f"os {short}", short, short, [plugin])
    machines.report(who, told, at=at)
    return Machine.objects.get(customer=customer)


def _registry(customer: Customer, world: World, word: str) -> tuple[Plugin, Revision, Revision]:
    """A private plugin with a published version, and a submission that was rejected, with all that was said of it."""
    said = {"description": f"does {word}", "author": f"author {word}"}
    name = f"plugin-{customer.pk}"
    published = world.published(world.revision(manifest(name, **said), owner=customer))
    Plugin.objects.filter(pk=published.version.plugin_id).update(visibility="private")
    world.build(published)
    code = {"main.py": f"'''{word}'''\n".encode(), "README.md": word.encode(), "CHANGELOG.md": word.encode()}
    waiting = world.revision(manifest(name, "2.0.0", **said), code, owner=customer)
    waiting = world.to_review(waiting)
    world.finding(waiting, message=f"finding {word}", hint=f"hint {word}", file=f"{word}.py", rule=f"R {word}"[:60])
    Review.objects.create(
        revision=waiting,
        kind="security",
        reviewer=world.ann,
        decision="reject",
        reason_code="secrets",
        comment=f"comment {word}",
        at=waiting.submitted_at,
    )
    states.transition(waiting.pk, Action.REJECT, "user:ann", waiting.submitted_at, reason=f"reason {word}")
    waiting.refresh_from_db()
    return published.version.plugin, published, waiting


def _user(email: str, **more: str) -> User:
    """Their password is their address."""
    return User.objects.create_user(email, email, email, **more)


def _credential() -> dict[str, object]:
    """A passkey as a browser registers it, of a key nobody has (WebAuthn, section 5.2.1)."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    public = ES256.from_cryptography_key(key)  # type: ignore[no-untyped-call]
    attested = AttestedCredentialData.create(Aaguid.NONE, b"passkey", public)
    data = AuthenticatorData.create(bytes(32), AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.AT, 0, attested)
    response = {
        "clientDataJSON": websafe_encode(b'{"type":"webauthn.create","challenge":"AA","origin":"https://km.example"}'),
        "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
    }
    shown = websafe_encode(b"passkey")
    return {"id": shown, "rawId": shown, "type": "public-key", "response": response, "clientExtensionResults": {}}
