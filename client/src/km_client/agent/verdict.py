"""What an answer of the server means for the batch that was sent. Pure: a table of cases, no waiting and no sending.

    judge(Answer(429, …, retry_after="3600"), sent=500, now=…)  → Later("…quota is used up…", 3600.0)

200 is believed only if it says how each event fared and the sums agree: a captive portal answers 200 too.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from km_client.agent.api import Answer
from km_client.agent.back_off import retry_after
from km_client.agent.refusals import Refusal


class Stored(NamedTuple):
    """Everything is durable on the server, except the refused, which it will never take (index → why)."""

    duplicates: int
    refused: dict[int, Refusal]


class Later(NamedTuple):
    """Nothing was stored; the same batch may succeed later."""

    reason: str
    retry_after: float | None = None


class Unauthorized(NamedTuple):
    """The token or the key is not accepted."""

    reason: str


class Forbidden(NamedTuple):
    """The key is good but may not do this; only a person can change that."""

    reason: str


class TooLarge(NamedTuple):
    """A smaller batch may be taken."""


class UnknownEncoding(NamedTuple):
    """The server does not read this compression."""


class Invalid(NamedTuple):
    """Something in the batch makes the whole of it unreadable. `refusal.id` is empty."""

    refusal: Refusal


Verdict = Stored | Later | Unauthorized | Forbidden | TooLarge | UnknownEncoding | Invalid


class _Rejected(msgspec.Struct):
    index: int
    code: str = "rejected"
    message: str = ""
    hint: str = ""
    id: str = ""


class _Receipt(msgspec.Struct):
    success: bool
    accepted: int
    duplicates: int = 0
    rejected: list[_Rejected] = []


def judge(answer: Answer, *, sent: int, now: datetime) -> Verdict:
    """The verdict on a batch of `sent` events."""
    if answer.status == 200:
        return _receipt(answer, sent)
    code, message, hint = answer.error()
    said = message or f"the server answered {answer.status}"
    if answer.status in {400, 422}:
        return Invalid(Refusal("", code or "invalid", said, hint))
    if answer.status == 401:
        return Unauthorized(said)
    if answer.status == 403:
        return Forbidden(said)
    if answer.status == 413:
        return TooLarge()
    if answer.status == 415:
        return UnknownEncoding()
    if 300 <= answer.status < 500 and answer.status not in {408, 425, 429}:
        return Later(
            f"{said}: is api_url the address of a Kilometers server?", retry_after(answer.retry_after, now=now)
        )
    return Later(said, retry_after(answer.retry_after, now=now))


def _receipt(answer: Answer, sent: int) -> Verdict:
    try:
        receipt = msgspec.json.decode(answer.body, type=_Receipt)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Later("the server answered 200 but not as Kilometers does: is a proxy or a login page in between?")
    refused = {
        one.index: Refusal(one.id, one.code, one.message, one.hint) for one in receipt.rejected if 0 <= one.index < sent
    }
    accounted = receipt.accepted + receipt.duplicates + len(refused)
    if not receipt.success or accounted != sent:
        return Later(f"the server accounted for {accounted} of {sent} events")
    return Stored(receipt.duplicates, refused)
