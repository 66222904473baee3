"""E-mail to the author's organisation when something happened to a submission that concerns it.

    Subject: slow-tools 1.2.0: changes requested
    A reviewer asks for changes. … the reason, the comment, every finding, the place in the queue, the usual wait

Who is written to: the organisation's people but its viewers. A notice is a row, written in the transaction of the
change; a worker sends it once. What a server for mail refuses is tried again by the sweep.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from customers.models import Member
from plugins_registry import queries
from plugins_registry.lifecycle import Action, State
from plugins_registry.models import Notice, Revision, StateChange
from plugins_registry.reasons import REASONS
from plugins_registry.wakeup import NOTIFY, after_commit

SHOWN_FINDINGS = 100  # a letter; the author's page has every one

SENTENCES = {
    Action.SUBMIT: "We have your submission and check it now.",
    Action.REFUSE: "The submission is not valid, and nobody will look at it as it is.",
    Action.PASS_SCAN: "The automated checks are done; reviewers look at it next.",
    Action.PASS_SECURITY: "The security review is passed; the code review is next.",
    Action.CERTIFY: "Both reviews are passed. It is built next, and two reviewers sign what was built.",
    Action.AUTO_CERTIFY: "It is certified without a review: little changed, and nothing was found.",
    Action.REQUEST_CHANGES: "A reviewer asks for changes. Your place in the queue is kept.",
    Action.REJECT: "A reviewer rejected it.",
    Action.GRANT_APPEAL: "Your appeal was granted: two people review it anew.",
    Action.DENY_APPEAL: "Your appeal was denied.",
    Action.WITHDRAW: "It was withdrawn on behalf of your organisation.",
    Action.APPROVE: "Two reviewers signed what was built. It is published next.",
    Action.FAIL_BUILD: "A build of it failed; its log says why.",
    Action.PUBLISH: "It is published.",
    Action.QUARANTINE: "It was taken off the shelf while we look into a report.",
    Action.YANK: "It was taken off the shelf.",
    Action.BLOCK: "It was blocked: no laptop starts it.",
    Action.RESTORE: "It is back, and will be published again.",
    Action.UNBLOCK: "The block was lifted; it stays in quarantine until it is restored.",
}
"""What concerns an author. What is not here is between the service and itself."""

_NEXT = {
    State.INVALID: "Next: correct what is listed above and submit again.",
    State.CHANGES_REQUESTED: "Next: change what is asked for and submit the same version again.",
    State.REJECTED: "Next: submit a new version, or appeal with `POST /api/registry/submissions/{id}/appeal`.",
    State.WITHDRAWN: "Next: submit the same source again to bring it back. If it was none of you, revoke your keys.",
}
_NOTHING = "There is nothing you have to do."


def follow(change: StateChange) -> None:
    """A hook: note that a letter is due, in the transaction of the change."""
    owner_id = change.revision.version.plugin.owner_id
    if owner_id is not None and Action(change.action) in SENTENCES:
        Notice.objects.create(change=change)
        after_commit(NOTIFY, change.pk)


def send(change_id: int, *, at: datetime) -> bool:
    """Send the letter about a change, unless it was sent or is being sent. Raises what the mail's backend raises."""
    if not Notice.objects.filter(change_id=change_id, sent_at=None).update(sent_at=at):
        return False
    try:
        change = StateChange.objects.select_related("revision__version__plugin").get(pk=change_id)
        return _message(change, at).send() > 0
    except Exception:
        Notice.objects.filter(change_id=change_id).update(sent_at=None)
        raise


def _message(change: StateChange, at: datetime) -> EmailMessage:
    version = change.revision.version
    subject = f"{version.plugin.name} {version.number}: {State(change.after).label}"
    text = render_to_string("plugins_registry/mail/state_change.txt", _context(change, at))
    owner_id = version.plugin.owner_id
    assert owner_id is not None  # `follow` notes no other
    return EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, _recipients(owner_id))


def _recipients(customer_id: int) -> list[str]:
    members = Member.objects.filter(customer_id=customer_id, user__is_active=True).exclude(role=Member.Role.VIEWER)
    return list(members.exclude(user__email="").values_list("user__email", flat=True).order_by("id"))


def _context(change: StateChange, at: datetime) -> dict[str, Any]:
    revision, details = change.revision, change.details
    code = str(details.get("reason_code", ""))
    findings = revision.findings.filter(waived=False)
    count = findings.count()
    wait = queries.median_wait(at=at)
    return {
        "sentence": SENTENCES[Action(change.action)],
        "plugin": revision.version.plugin.name,
        "version": revision.version.number,
        "number": revision.number,
        "public_id": revision.public_id,
        "state": State(change.after).label,
        "source": revision.source_id,
        "reason": REASONS.get(code, ""),
        "reason_code": code,
        "comment": details.get("comment") or details.get("reason", ""),
        "place": queries.place_in_queue(revision),
        "wait": in_words(wait) if wait is not None else "",
        "findings": findings[:SHOWN_FINDINGS],
        "findings_count": count,
        "findings_left": max(0, count - SHOWN_FINDINGS),
        "next_step": _next_step(change, revision),
    }


def _next_step(change: StateChange, revision: Revision) -> str:
    return _NEXT.get(State(change.after), _NOTHING).replace("{id}", revision.public_id)


def in_words(wait: timedelta) -> str:
    """`40 minutes`, `7 hours`, `3 days`: as exact as a promise that is none."""
    minutes = max(1, round(wait.total_seconds() / 60))
    for size, noun in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            number = round(minutes / size)
            return f"{number} {noun}{'s' if number > 1 else ''}"
    raise AssertionError(minutes)
