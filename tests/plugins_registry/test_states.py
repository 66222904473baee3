"""Every state and action: what the table allows happens once, with its history; anything else is refused."""

from __future__ import annotations

import pytest

from customers.models import AppendOnlyError, AuditEntry, Customer
from plugins_registry import publishing_hooks, states
from plugins_registry.errors import TransitionRefused
from plugins_registry.lifecycle import DECIDED, TRANSITIONS, UNDECIDED, Action, State
from plugins_registry.models import Revision, StateChange
from tests.plugins_registry.registry import LATER, submitted

pytestmark = pytest.mark.usefixtures("own_storage")

ALL = [(state, action) for state in State for action in Action]


@pytest.fixture
def revision(acme: Customer) -> Revision:
    return submitted(acme)


def put(revision: Revision, state: State) -> None:
    Revision.objects.filter(pk=revision.pk).update(state=state, risk="")


def test_every_state_is_in_the_table_and_every_action_leads_somewhere() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {action for row in TRANSITIONS.values() for action in row} == set(Action)
    reached = {State.DRAFT} | {after for row in TRANSITIONS.values() for after in row.values()}
    assert reached == set(State)


@pytest.mark.parametrize(("state", "action"), ALL, ids=str)
def test_the_table_is_what_happens(revision: Revision, state: State, action: Action) -> None:
    put(revision, state)
    before = StateChange.objects.count(), AuditEntry.objects.count()
    new = TRANSITIONS[state].get(action)
    if new is None:
        with pytest.raises(TransitionRefused) as refused:
            states.transition(revision.pk, action, "user:ann", LATER)
        assert state.label in refused.value.message
        assert (StateChange.objects.count(), AuditEntry.objects.count()) == before
        return
    states.transition(revision.pk, action, "user:ann", LATER, note="why")
    revision.refresh_from_db()
    change = StateChange.objects.get(revision=revision, action=action, before=state, at=LATER)
    assert (change.after, change.actor, change.details) == (new, "user:ann", {"note": "why"})
    entry = AuditEntry.objects.get(action=f"revision.{action}", at=LATER)
    assert (entry.subject, entry.actor) == (f"revision:{revision.public_id}", "user:ann")
    assert entry.details == {"before": state, "after": new, "note": "why"}
    assert revision.state == new and revision.state_since == LATER


def test_a_scanner_that_fails_never_rejects() -> None:
    assert set(TRANSITIONS[State.SCAN_ERROR].values()) == {State.SCANNING, State.WITHDRAWN, State.SUPERSEDED}


def test_nothing_is_published_without_approval_and_nothing_approved_without_certification() -> None:
    into = {state: {old for old, row in TRANSITIONS.items() if state in row.values()} for state in State}
    assert into[State.PUBLISHED] == {State.BUILDING}
    assert into[State.BUILDING] == {State.APPROVED}
    assert into[State.APPROVED] == {State.CERTIFIED, State.BUILDING, State.QUARANTINED, State.YANKED}
    assert into[State.CERTIFIED] == {State.SECURITY_REVIEW, State.CODE_REVIEW}


def test_a_state_is_settled_or_open_never_both() -> None:
    assert not set(DECIDED) & set(UNDECIDED)


def test_history_is_never_rewritten(revision: Revision) -> None:
    change = StateChange.objects.get(revision=revision)
    with pytest.raises(AppendOnlyError):
        change.save()
    with pytest.raises(AppendOnlyError):
        change.delete()
    with pytest.raises(AppendOnlyError):
        StateChange.objects.filter(revision=revision).update(actor="nobody")
    with pytest.raises(AppendOnlyError):
        StateChange.objects.all().delete()


def test_of_two_withdrawals_one_wins(revision: Revision, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Revision.objects.filter

    def overtaken(**wanted: object) -> object:
        real(pk=revision.pk).update(state=State.WITHDRAWN)
        return real(**wanted)

    monkeypatch.setattr(Revision.objects, "filter", overtaken)
    with pytest.raises(TransitionRefused, match="same moment"):
        states.transition(revision.pk, Action.WITHDRAW, "user:ann", LATER)
    assert not StateChange.objects.filter(action=Action.WITHDRAW).exists()


def test_a_hook_that_fails_takes_the_transition_back(revision: Revision, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: StateChange) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(publishing_hooks, "_state_hooks", [fails])
    with pytest.raises(RuntimeError):
        states.transition(revision.pk, Action.WITHDRAW, "user:ann", LATER)
    revision.refresh_from_db()
    assert revision.state == State.SUBMITTED
    assert not AuditEntry.objects.filter(action="revision.withdraw").exists()
