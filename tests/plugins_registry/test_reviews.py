"""Two people decide, neither of the author's organisation; two keys approve; what is taken away can be given back."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from customers.models import AuditEntry, Customer
from plugins_registry import appeals, blocks, publishing_hooks, queries, review, yanks
from plugins_registry.approvals import is_signed, review_envelope
from plugins_registry.errors import (
    InvalidAppeal,
    InvalidApproval,
    InvalidDecision,
    NotAReviewer,
    TransitionRefused,
)
from plugins_registry.lifecycle import Action, State
from plugins_registry.models import Appeal, Block, CheckRun, Finding, Review, Revision
from plugins_registry.risk import RiskFacts, passes_by_rule, risk_of
from tests.plugins_registry.registry import (
    LATER,
    NOON,
    TO_CERTIFIED,
    TO_PUBLISHED,
    TO_SECURITY,
    OwnKey,
    archive,
    brought,
    built,
    person,
    reviewer,
    submitted,
)

pytestmark = pytest.mark.usefixtures("own_storage")


@pytest.fixture
def ann(db: None) -> User:
    return reviewer("ann")


@pytest.fixture
def bob(db: None) -> User:
    return reviewer("bob")


@pytest.fixture
def in_review(acme: Customer) -> Revision:
    return brought(submitted(acme), TO_SECURITY)


@pytest.fixture
def certified(acme: Customer) -> Revision:
    return brought(submitted(acme), TO_CERTIFIED)


def decide(revision: Revision, kind: str, user: User, decision: str = "approve", reason: str = "") -> Review:
    comment = "see main.py" if reason else ""
    return review.decide(revision, kind, user, decision, reason, comment, at=LATER)


# four eyes


def test_two_people_certify(in_review: Revision, ann: User, bob: User) -> None:
    decide(in_review, "security", ann)
    assert in_review.state == State.CODE_REVIEW
    decide(in_review, "code", bob)
    assert (in_review.state, in_review.certified_at) == (State.CERTIFIED, LATER)
    actors = AuditEntry.objects.filter(action__in=["revision.pass_security", "revision.certify"]).order_by("id")
    assert list(actors.values_list("actor", flat=True)) == ["user:ann", "user:bob"]


def test_one_person_does_not_decide_both(in_review: Revision, ann: User) -> None:
    decide(in_review, "security", ann)
    with pytest.raises(NotAReviewer, match="other review"):
        decide(in_review, "code", ann)
    in_review.refresh_from_db()
    assert in_review.state == State.CODE_REVIEW


def test_the_authors_organisation_never_decides(in_review: Revision, acme: Customer) -> None:
    insider = reviewer("ina", of=acme)
    with pytest.raises(NotAReviewer, match="belongs to Acme"):
        decide(in_review, "security", insider)
    boss = User.objects.create_superuser("boss")
    boss.memberships.create(customer=acme)
    with pytest.raises(NotAReviewer, match="belongs to Acme"):
        decide(in_review, "security", boss, "reject", "policy")
    assert not Review.objects.exists()


def test_a_permission_is_for_one_kind(in_review: Revision, db: None) -> None:
    coder = person("cody", "review_code")
    with pytest.raises(NotAReviewer, match="review_security"):
        decide(in_review, "security", coder)
    coder.is_active = False
    with pytest.raises(NotAReviewer):
        decide(in_review, "code", coder)


@pytest.mark.parametrize("state", [state for state in State if state not in {"security_review", "code_review"}])
def test_what_is_not_in_review_is_not_decided(in_review: Revision, ann: User, state: State) -> None:
    Revision.objects.filter(pk=in_review.pk).update(state=state)
    for kind in ("security", "code"):
        with pytest.raises(TransitionRefused):
            decide(in_review, kind, ann)
    assert not Review.objects.exists()


@pytest.mark.parametrize("kind", ["security", "code"])
def test_a_refusal_says_why(in_review: Revision, ann: User, bob: User, kind: str) -> None:
    if kind == "code":
        decide(in_review, "security", bob)
    for reason, comment in (("", "no"), ("because", "no"), ("malicious", " "), ("malicious", "\0")):
        with pytest.raises(InvalidDecision):
            review.decide(in_review, kind, ann, "reject", reason, comment, at=LATER)
    with pytest.raises(InvalidDecision):
        review.decide(in_review, kind, ann, "perhaps", "", "", at=LATER)
    decide(in_review, kind, ann, "reject", "secrets")
    assert in_review.state == State.REJECTED
    assert in_review.changes.get(action=Action.REJECT).details["reason_code"] == "secrets"


def test_a_rejected_submission_cannot_be_published(in_review: Revision, ann: User) -> None:
    decide(in_review, "security", ann, "reject", "malicious")
    for action in (Action.CERTIFY, Action.APPROVE, Action.BUILD, Action.PUBLISH, Action.WITHDRAW, Action.SUBMIT):
        with pytest.raises(TransitionRefused):
            brought(in_review, [action])


# waivers


def test_a_false_positive_is_remembered_for_this_plugin_only(in_review: Revision, globex: Customer, ann: User) -> None:
    other = brought(submitted(globex, archive(name="other-tools")), TO_SECURITY)
    place: dict[str, Any] = {"check_name": "secrets", "rule": "km-key", "severity": "high", "fingerprint": "f" * 32}
    one, theirs = (Finding.objects.create(revision=each, message="a key", **place) for each in (in_review, other))
    with pytest.raises(InvalidDecision):
        review.waive(one, ann, " ", at=LATER)
    review.waive(one, ann, "an example of RFC 7515", at=LATER)
    assert review.waive(one, ann, "again", at=LATER).reason == "an example of RFC 7515"
    assert queries.waived(one.revision.version.plugin) == {("km-key", "f" * 32)}
    assert queries.waived(theirs.revision.version.plugin) == frozenset()
    one.refresh_from_db()
    theirs.refresh_from_db()
    assert one.waived and not theirs.waived


# risk

QUIET = RiskFacts(frozenset(), frozenset(), "", True, 10, 2, 0)


@pytest.mark.parametrize(
    ("changed", "risk", "passes"),
    [
        ({}, "low", True),
        ({"worst": "info"}, "low", True),
        ({"permissions": frozenset({"network"})}, "low", True),
        ({"incidents": 1}, "low", False),
        ({"published": 1}, "low", False),
        ({"all_ran": False}, "medium", False),
        ({"worst": "low"}, "medium", False),
        ({"changed_lines": 201}, "medium", False),
        ({"changed_lines": None}, "medium", False),
        ({"worst": "high"}, "high", False),
        ({"permissions": frozenset({"system"})}, "high", False),
        ({"permissions": frozenset({"network"}), "widened": frozenset({"network"})}, "high", False),
    ],
)
def test_only_what_is_quiet_small_and_known_passes_by_rule(changed: dict[str, Any], risk: str, passes: bool) -> None:
    facts = RiskFacts(**({name: getattr(QUIET, name) for name in QUIET.__slots__} | changed))
    assert (risk_of(facts), passes_by_rule(facts)) == (risk, passes)


def checked(revision: Revision) -> Revision:
    brought(revision, (Action.VALIDATE, Action.SCAN))
    CheckRun.objects.create(revision=revision, check_name="ruff", state="passed")
    return brought(revision, [Action.PASS_SCAN])


def test_a_small_change_of_a_known_plugin_is_certified_by_rule_and_approved_by_nobody(acme: Customer) -> None:
    for number in (1, 2):
        brought(submitted(acme, archive(version=f"{number}.0.0")), TO_PUBLISHED)
    third = checked(submitted(acme, archive(version="3.0.0")))
    assert (third.state, third.risk) == (State.CERTIFIED, "low")
    assert [each.reviewer for each in third.reviews.all()] == [None, None]
    wide = {"network": True, "filesystem": False, "system": False}
    fourth = checked(submitted(acme, archive(version="4.0.0", permissions=wide)))
    assert (fourth.state, fourth.risk) == (State.SECURITY_REVIEW, "high")


def test_a_first_version_is_looked_at_by_people(acme: Customer) -> None:
    assert checked(submitted(acme)).state == State.SECURITY_REVIEW


# approvals


def test_two_keys_of_two_people_approve(certified: Revision, ann: User, bob: User) -> None:
    payload, first, second = built(certified), OwnKey(ann), OwnKey(bob)
    statement = review.statement_for(payload)
    made = review.record_approval(certified, first.envelope(statement), at=LATER)
    assert review.record_approval(certified, first.envelope(statement), at=LATER) == made
    certified.refresh_from_db()
    assert certified.state == State.CERTIFIED and not is_signed(payload)
    with pytest.raises(InvalidApproval, match="1 of 2"):
        review_envelope(payload)
    review.record_approval(certified, second.envelope(statement), at=LATER)
    certified.refresh_from_db()
    assert certified.state == State.APPROVED
    assert first.keyid.encode() in review_envelope(payload) and second.keyid.encode() in review_envelope(payload)


def test_two_keys_of_one_person_are_one_approval(certified: Revision, ann: User) -> None:
    statement = review.statement_for(built(certified))
    for key in (OwnKey(ann), OwnKey(ann)):
        review.record_approval(certified, key.envelope(statement), at=LATER)
    certified.refresh_from_db()
    assert certified.state == State.CERTIFIED


def test_every_platform_is_signed(certified: Revision, ann: User, bob: User) -> None:
    Revision.objects.filter(pk=certified.pk).update(platforms=["linux-amd64", "linux-arm64"])
    keys = OwnKey(ann), OwnKey(bob)
    for platform, digest, after in (("linux-amd64", "ab" * 32, "certified"), ("linux-arm64", "cd" * 32, "approved")):
        statement = review.statement_for(built(certified, platform, digest=digest))
        for key in keys:
            review.record_approval(certified, key.envelope(statement), at=LATER)
        certified.refresh_from_db()
        assert certified.state == after


def test_a_key_that_does_not_count_approves_nothing(certified: Revision, acme: Customer, ann: User) -> None:
    statement = review.statement_for(built(certified))
    insider, gone, nobody = OwnKey(reviewer("ina", of=acme)), OwnKey(ann), OwnKey(person("noah"))
    gone.row.revoked_at = NOON
    gone.row.save()
    unknown = OwnKey(reviewer("una"))
    unknown.row.delete()
    for key, refusal in (
        (insider, NotAReviewer),
        (gone, InvalidApproval),
        (nobody, NotAReviewer),
        (unknown, InvalidApproval),
    ):
        with pytest.raises(refusal):
            review.record_approval(certified, key.envelope(statement), at=LATER)
    assert not certified.approvals.exists()


def test_only_the_pending_statement_is_approved(certified: Revision, ann: User) -> None:
    payload, key = built(certified), OwnKey(ann)
    statement = review.statement_for(payload)
    changed = statement.replace(b'"network":false', b'"network":true')
    assert changed != statement
    for envelope in (
        key.envelope(changed),
        key.envelope(statement.replace(b"ab" * 32, b"cd" * 32)),
        key.envelope(b"{}"),
        key.envelope(statement)[:-10],
        b"\xff",
    ):
        with pytest.raises(InvalidApproval):
            review.record_approval(certified, envelope, at=LATER)
    assert not certified.approvals.exists()


def test_what_a_second_build_did_not_reproduce_is_not_signed(certified: Revision) -> None:
    with pytest.raises(InvalidApproval, match="second build"):
        review.statement_for(built(certified, same=False))


def test_signatures_of_an_earlier_certification_do_not_count(certified: Revision, ann: User, bob: User) -> None:
    payload, keys = built(certified), (OwnKey(ann), OwnKey(bob))
    review.record_approval(certified, keys[0].envelope(review.statement_for(payload)), at=LATER)
    brought(certified, [Action.WITHDRAW, Action.SUBMIT])
    again = brought(certified, TO_CERTIFIED, at=LATER)
    payload.refresh_from_db()
    review.record_approval(again, keys[1].envelope(review.statement_for(payload)), at=LATER)
    again.refresh_from_db()
    assert again.state == State.CERTIFIED


# appeals


@pytest.fixture
def rejected(in_review: Revision, ann: User) -> Revision:
    decide(in_review, "security", ann, "reject", "secrets")
    return in_review


def test_an_appeal_is_heard_by_somebody_else_and_reviewed_anew(rejected: Revision, bob: User) -> None:
    made = appeals.appeal(rejected, "it is an example", actor="key:k", at=LATER)
    with pytest.raises(InvalidAppeal):
        appeals.appeal(rejected, "and again", actor="key:k", at=LATER)
    with pytest.raises(NotAReviewer):
        appeals.decide_appeal(made, bob, "granted", "yes", at=LATER)  # has not the permission
    judge = person("jude", "decide_appeal")
    appeals.decide_appeal(made, judge, "granted", "RFC 7515's", at=LATER)
    rejected.refresh_from_db()
    assert rejected.state == State.SECURITY_REVIEW
    assert not rejected.reviews.filter(latest=True).exists()
    with pytest.raises(TransitionRefused):
        appeals.decide_appeal(made, judge, "denied", "no", at=LATER)
    decide(rejected, "security", bob)


def test_who_rejected_does_not_hear_the_appeal(in_review: Revision, acme: Customer) -> None:
    judge = person("jude", "decide_appeal", "review_security")
    decide(in_review, "security", judge, "reject", "secrets")
    made = appeals.appeal(in_review, "it is an example", actor="key:k", at=LATER)
    with pytest.raises(NotAReviewer, match="rejected this"):
        appeals.decide_appeal(made, judge, "denied", "no", at=LATER)
    with pytest.raises(NotAReviewer, match="belongs to"):
        appeals.decide_appeal(made, person("ina", "decide_appeal", of=acme), "granted", "yes", at=LATER)
    assert Appeal.objects.get().outcome == ""


def test_appeals_end(rejected: Revision, in_review: Revision) -> None:
    judge = person("jude", "decide_appeal")
    for _ in range(appeals.MAX_APPEALS):
        made = appeals.appeal(rejected, "please", actor="key:k", at=LATER)
        appeals.decide_appeal(made, judge, "denied", "no", at=LATER)
    with pytest.raises(InvalidAppeal, match="3 appeals"):
        appeals.appeal(rejected, "please", actor="key:k", at=LATER)
    for text in ("", " ", "\0", "x" * 5001):
        with pytest.raises(InvalidAppeal):
            appeals.appeal(rejected, text, actor="key:k", at=LATER)


def test_only_a_rejection_is_appealed(certified: Revision) -> None:
    with pytest.raises(TransitionRefused):
        appeals.appeal(certified, "please", actor="key:k", at=LATER)


# yanks and blocks


@pytest.fixture
def published(acme: Customer) -> Revision:
    return brought(submitted(acme), TO_PUBLISHED)


@pytest.fixture
def operator(db: None) -> User:
    return person("opal", "yank_revision", "block_revision")


def test_what_is_taken_off_the_shelf_comes_back_as_approved(
    published: Revision, operator: User, acme: Customer
) -> None:
    yanks.quarantine(published, operator, "malicious", "a report", at=LATER)
    yanks.yank(published, operator, "vulnerable", "confirmed", at=LATER)
    with pytest.raises(NotAReviewer, match="belongs to"):
        yanks.restore(published, person("ina", "yank_revision", of=acme), "fine", at=LATER)
    assert yanks.restore(published, operator, "a false alarm", at=LATER).state == State.APPROVED
    with pytest.raises(NotAReviewer):
        yanks.yank(published, person("noah"), "vulnerable", "x", at=LATER)
    with pytest.raises(InvalidDecision):
        yanks.yank(published, operator, "", "x", at=LATER)


def test_publishers_hear_of_every_transition_and_block(
    published: Revision, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(publishing_hooks, "_state_hooks", [lambda change: heard.append(change.action)])
    monkeypatch.setattr(publishing_hooks, "_block_hooks", [lambda made: heard.append(made.level)])
    made = blocks.block(published.version.plugin, operator, "hard", "steals tokens", at=LATER)
    blocks.lift(made, operator, at=LATER)
    assert heard == ["block", "hard", "unblock", "hard"]


def test_a_block_covers_what_it_names_and_a_raised_one_replaces_it(acme: Customer, operator: User) -> None:
    one = brought(submitted(acme), TO_PUBLISHED)
    two = brought(submitted(acme, archive(version="2.0.0")), TO_PUBLISHED)
    plugin = one.version.plugin
    soft = blocks.block(plugin, operator, "soft", "crashes", at=LATER, version=one.version)
    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.state, two.state) == (State.BLOCKED, State.PUBLISHED)
    everything = blocks.block(plugin, operator, "hard", "worse", at=LATER)
    blocks.lift(soft, operator, at=LATER)
    assert Revision.objects.get(pk=one.pk).state == State.BLOCKED  # the other block still covers it
    hard = blocks.block(plugin, operator, "hard", "worst", at=LATER)
    assert list(blocks.in_force(plugin)) == [hard]
    with pytest.raises(TransitionRefused):
        blocks.lift(everything, operator, at=LATER)
    blocks.lift(hard, operator, at=LATER)
    assert set(Revision.objects.values_list("state", flat=True)) == {State.QUARANTINED}
    assert Block.objects.count() == 3


def test_a_block_of_one_payload_changes_no_state(published: Revision, operator: User) -> None:
    blocks.block(published.version.plugin, operator, "hard", "tampered", at=LATER, sha256="ab" * 32)
    published.refresh_from_db()
    assert published.state == State.PUBLISHED
    with pytest.raises(InvalidDecision):
        blocks.block(published.version.plugin, operator, "hard", "x", at=LATER, sha256="ab")
    with pytest.raises(NotAReviewer):
        blocks.block(published.version.plugin, person("noah"), "hard", "x", at=LATER)
