"""One letter about an incident, in plain text.

    post("msg_…", "ann@acme.example", subject, body)    → Answer(status=250, duration_ms=40.0)

Its Message-ID is the delivery's own, so that a letter sent twice is known by its second copy. `status` is what the mail
server said: 250 when it took the letter.
"""

from __future__ import annotations

import time
from smtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage

from alerts.webhooks import KEPT_BYTES, Answer

TAKEN = 250  # RFC 5321 §4.2.3


def post(message_id: str, address: str, subject: str, body: str) -> Answer:
    """One try. What goes wrong is in the answer, nothing is raised."""
    begun = time.monotonic()
    host = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    headers = {"Message-ID": f"<{message_id}@{host}>", "Auto-Submitted": "auto-generated"}  # RFC 3834 §5
    letter = EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [address], headers=headers)
    try:
        letter.send()
        status, error, text = TAKEN, "", ""
    except (SMTPException, OSError) as failure:
        status, text = _said(failure, address)
        error = type(failure).__name__
    return Answer(status, error, text, 1000 * (time.monotonic() - begun))


def _said(failure: Exception, address: str) -> tuple[int, str]:
    """The code and words of the mail server; 0 where it said nothing."""
    code, said = 0, b""
    if isinstance(failure, SMTPRecipientsRefused):
        code, said = failure.recipients.get(address, (0, b""))
    elif isinstance(failure, SMTPResponseException):
        code, error = failure.smtp_code, failure.smtp_error
        said = error if isinstance(error, bytes) else error.encode()
    words = said.decode(errors="replace") if code else str(failure)
    return max(0, code), words[:KEPT_BYTES].replace("\0", "\ufffd")  # -1: it hung up
