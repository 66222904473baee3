"""Who may let whom in, and out: the table of roles, invitations that work once, and an owner who always stays."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail

from core.errors import ApiError, Forbidden, InvalidRequest
from customers import accounts, invitations, letters, members
from customers.errors import (
    AlreadyMember,
    InvitationOver,
    LastOwner,
    LetterNotSent,
    NotYourInvitation,
    UnknownInvitation,
    UnknownMember,
)
from customers.invitations import GOOD_FOR, MAX_SENT, Sent
from customers.models import AuditEntry, Customer, Invitation, Member
from customers.permissions import ROLES, Permission, may_give, permissions_of

PASSWORD = "correct horse battery staple"


@pytest.fixture
def ann(acme: Customer, moment: datetime) -> Member:
    return accounts.add_member(acme, "ann@acme.example", PASSWORD, "owner", at=moment)


def of_role(customer: Customer, role: str, moment: datetime) -> Member:
    return accounts.add_member(customer, f"{role}-{Member.objects.count()}@acme.example", PASSWORD, role, at=moment)


def test_each_role_has_all_of_the_one_below_and_something_more() -> None:
    assert list(ROLES) == Member.Role.values
    above = list(ROLES.values())
    assert all(more > less for more, less in itertools.pairwise(above))
    assert permissions_of("nobody") == frozenset()
    assert permissions_of("viewer") == {Permission.READ}


def test_only_an_owner_makes_or_unmakes_one() -> None:
    assert [(role, given) for role in ROLES for given in ROLES if may_give(role, given)] == [
        *(("owner", given) for given in ROLES),
        *(("admin", given) for given in ("admin", "member", "viewer")),
    ]


@pytest.mark.parametrize("role", ["admin", "member", "viewer"])
def test_nobody_rises_above_their_role(role: str, ann: Member, acme: Customer, moment: datetime) -> None:
    mine = of_role(acme, role, moment)
    for act in (
        lambda: members.change_role(acme, mine.pk, "owner", by=mine, at=moment),
        lambda: members.change_role(acme, ann.pk, "viewer", by=mine, at=moment),
        lambda: members.remove(acme, ann.pk, by=mine, at=moment),
        lambda: invitations.invite(acme, "x@acme.example", "owner", by=mine, at=moment),
    ):
        with pytest.raises(Forbidden):
            act()
    assert {row.role for row in members.listed(acme)} == {"owner", role}


def test_the_last_owner_stays_one(ann: Member, acme: Customer, moment: datetime) -> None:
    for act in (
        lambda: members.leave(ann, at=moment),
        lambda: members.remove(acme, ann.pk, by=ann, at=moment),
        lambda: members.change_role(acme, ann.pk, "admin", by=ann, at=moment),
    ):
        with pytest.raises(LastOwner):
            act()
    of_role(acme, "owner", moment)
    members.change_role(acme, ann.pk, "admin", by=ann, at=moment)
    assert members.get(acme, ann.pk).role == "admin"


def test_every_change_of_who_belongs_is_on_record(ann: Member, acme: Customer, moment: datetime) -> None:
    bob = of_role(acme, "viewer", moment)
    members.change_role(acme, bob.pk, "member", by=ann, at=moment)
    members.remove(acme, bob.pk, by=ann, at=moment)
    second = of_role(acme, "owner", moment)
    members.leave(ann, at=moment)
    entries = AuditEntry.objects.filter(action__in=["member.role_changed", "member.removed", "member.left"])
    assert [(entry.action, entry.actor) for entry in entries.order_by("id")] == [
        ("member.role_changed", "user:ann@acme.example"),
        ("member.removed", "user:ann@acme.example"),
        ("member.left", "user:ann@acme.example"),
    ]
    assert [row.pk for row in members.listed(acme)] == [second.pk]


def test_another_customers_member_is_as_absent_as_none(ann: Member, moment: datetime) -> None:
    globex = accounts.create_customer("Globex", "pro", at=moment)
    boss = of_role(globex, "owner", moment)
    for member_id in (ann.pk, 10**6, 10**40):
        with pytest.raises(UnknownMember):
            members.remove(globex, member_id, by=boss, at=moment)


@pytest.fixture
def sent(ann: Member, acme: Customer, moment: datetime) -> Sent:
    return invitations.invite(acme, "Bob@Example.com", "member", by=ann, at=moment)


def test_an_invited_newcomer_gets_an_account_and_the_role(sent: Sent, acme: Customer, moment: datetime) -> None:
    member = invitations.accept_as_new(invitations.find(sent.token, at=moment), PASSWORD, at=moment)
    assert (member.customer, member.role, member.user.username) == (acme, "member", "bob@example.com")
    assert member.user.check_password(PASSWORD)
    assert AuditEntry.objects.filter(action="member.joined", customer_public_id=acme.public_id).count() == 1


def test_an_existing_account_joins_a_second_customer(sent: Sent, moment: datetime) -> None:
    globex = accounts.create_customer("Globex", "pro", at=moment)
    bob = accounts.add_member(globex, "bob@example.com", PASSWORD, "owner", at=moment).user
    invitations.accept(invitations.find(sent.token, at=moment), bob, at=moment)
    assert len(members.memberships_of(bob)) == 2


def test_an_invitation_works_once_also_for_two_who_opened_it_before(sent: Sent, moment: datetime) -> None:
    first, second = (invitations.find(sent.token, at=moment) for _ in range(2))
    invitations.accept_as_new(first, PASSWORD, at=moment)
    with pytest.raises(InvitationOver):
        invitations.find(sent.token, at=moment)
    with pytest.raises(InvitationOver):
        invitations.accept(second, User.objects.get(username="bob@example.com"), at=moment)


def test_an_invitation_ends_after_a_week_with_a_newer_letter_and_when_revoked(
    sent: Sent, ann: Member, acme: Customer, moment: datetime
) -> None:
    invitations.find(sent.token, at=moment + GOOD_FOR - timedelta(seconds=1))
    with pytest.raises(InvitationOver):
        invitations.find(sent.token, at=moment + GOOD_FOR)
    again = invitations.resend(acme, sent.invitation.public_id, by=ann, at=moment)
    newest = invitations.invite(acme, "bob@example.com", "viewer", by=ann, at=moment)
    for ended in (sent, again):
        with pytest.raises(InvitationOver):
            invitations.find(ended.token, at=moment)
    invitations.revoke(acme, newest.invitation.public_id, by=ann, at=moment)
    with pytest.raises(InvitationOver):
        invitations.find(newest.token, at=moment)


@pytest.mark.parametrize("change", [lambda token: f"{token}x", lambda token: token.split(":")[0], str.upper])
def test_a_link_nobody_signed_is_refused_before_the_database_is_asked(
    change: object, sent: Sent, moment: datetime, django_assert_num_queries: object
) -> None:
    with django_assert_num_queries(0), pytest.raises(InvitationOver):  # type: ignore[operator]
        invitations.find(change(sent.token), at=moment)  # type: ignore[operator]


def test_the_link_is_stored_nowhere(sent: Sent) -> None:
    secret = sent.token.split(":")[0].split(".")[1]
    assert all(secret not in str(row) for row in Invitation.objects.values_list())
    assert all(secret not in str(row) for row in AuditEntry.objects.values_list())


def test_an_invitation_is_for_its_address_alone(sent: Sent, ann: Member, moment: datetime) -> None:
    with pytest.raises(NotYourInvitation, match=r"bob@example\.com"):
        invitations.accept(invitations.find(sent.token, at=moment), ann.user, at=moment)
    assert invitations.find(sent.token, at=moment).accepted_at is None


def test_a_weak_password_leaves_the_invitation_open_and_no_account(sent: Sent, moment: datetime) -> None:
    with pytest.raises(InvalidRequest):
        invitations.accept_as_new(invitations.find(sent.token, at=moment), "password1234", at=moment)
    assert invitations.find(sent.token, at=moment).accepted_at is None
    assert not User.objects.filter(username="bob@example.com").exists()


def test_who_belongs_already_is_not_invited(ann: Member, acme: Customer, moment: datetime) -> None:
    with pytest.raises(AlreadyMember):
        invitations.invite(acme, "ann@acme.example", "admin", by=ann, at=moment)


def test_letters_are_not_sent_without_end(sent: Sent, ann: Member, acme: Customer, moment: datetime) -> None:
    for _ in range(MAX_SENT - 1):
        invitations.resend(acme, sent.invitation.public_id, by=ann, at=moment)
    with pytest.raises(InvalidRequest, match="letters"):
        invitations.resend(acme, sent.invitation.public_id, by=ann, at=moment)


def test_another_customers_invitation_is_as_absent_as_none(sent: Sent, moment: datetime) -> None:
    globex = accounts.create_customer("Globex", "pro", at=moment)
    boss = of_role(globex, "owner", moment)
    for public_id in (sent.invitation.public_id, "inv_nobodys", "inv\0"):
        for act in (invitations.resend, invitations.revoke):
            with pytest.raises(UnknownInvitation):
                act(globex, public_id, by=boss, at=moment)


def test_a_sign_up_founds_a_customer_of_the_free_tier_once_the_address_is_proven(db: None, moment: datetime) -> None:
    sent = invitations.sign_up("eve@new.example", "New Inc", at=moment)
    assert sent is not None
    assert not User.objects.exists()
    member = invitations.accept_as_new(invitations.find(sent.token, at=moment), PASSWORD, at=moment)
    assert (member.role, member.customer.name, member.customer.subscription.tier.code) == ("owner", "New Inc", "free")
    assert invitations.sign_up("eve@new.example", "New Inc", at=moment) is None


def test_a_name_ends_no_header_and_a_mail_server_that_refuses_is_told(
    ann: Member, acme: Customer, moment: datetime, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.name = "Acme\r\nBcc: everyone@example.com"
    letters.send_invitation(invitations.invite(acme, "bob@example.com", "admin", by=ann, at=moment))
    letter = mail.outbox[-1]
    assert letter.subject == "You are invited to Acme Bcc: everyone@example.com"
    assert letter.recipients() == ["bob@example.com"]
    assert "/app/join/inv_" in str(letter.body)

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
    with pytest.raises(LetterNotSent) as told:
        letters.send_invitation(invitations.invite(acme, "eve@example.com", "admin", by=ann, at=moment))
    assert isinstance(told.value, ApiError)
    assert Invitation.objects.filter(email="eve@example.com").exists()
