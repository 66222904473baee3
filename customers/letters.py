"""The letters of this room, in plain text: an invitation, a sign-up, and what a known address is told instead.

They go out while the sender waits, after their invitation is stored: a link must not lie in a queue. What the mail
server refuses becomes `LetterNotSent`; the invitation stands and can be sent again.
"""

from __future__ import annotations

from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage

from customers.errors import LetterNotSent
from customers.invitations import GOOD_FOR, Sent

_INVITATION = """\
{who} invites you to {organisation} on Kilometers, as {role}.

Follow this link within {days} days to accept. It works once:

{link}

If you do not know what this is about, do nothing.
"""
_SIGN_UP = """\
Somebody, probably you, wants to use Kilometers for {organisation}.

Follow this link within {days} days to choose a password and begin. It works once:

{link}

If it was not you, do nothing: no account is made.
"""
_KNOWN = """\
Somebody, probably you, asked for a Kilometers account for this address. It has one already:

{sign_in}

There you can also ask for a new password. If it was not you, do nothing.
"""


def send_invitation(sent: Sent) -> None:
    """The letter of an invitation or a sign-up. Raises `LetterNotSent`."""
    invitation, customer = sent.invitation, sent.invitation.customer
    organisation = _line(customer.name if customer else invitation.organisation)
    words = {
        "who": invitation.invited_by.removeprefix("user:"),
        "organisation": organisation,
        "role": f"an {invitation.role}" if invitation.role in {"owner", "admin"} else f"a {invitation.role}",
        "days": GOOD_FOR.days,
        "link": f"{settings.PUBLIC_URL}/app/join/{sent.token}",
    }
    if customer:
        _send(invitation.email, f"You are invited to {organisation}", _INVITATION.format(**words))
    else:
        _send(invitation.email, "Your Kilometers account", _SIGN_UP.format(**words))


def send_known(email: str) -> None:
    """To an address that asked for an account and has one. Raises `LetterNotSent`."""
    _send(email, "Your Kilometers account", _KNOWN.format(sign_in=f"{settings.PUBLIC_URL}/app/login"))


def _send(to: str, subject: str, text: str) -> None:
    try:
        EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [to]).send()
    except (SMTPException, OSError) as error:
        raise LetterNotSent(
            f"the letter to `{to}` could not be sent: {type(error).__name__}",
            "send it again in a while; if that does not help, the mail server's settings are wrong",
        ) from error


def _line(text: str) -> str:
    """On one line: a name must not end a header or begin a paragraph."""
    return " ".join(text.split())
