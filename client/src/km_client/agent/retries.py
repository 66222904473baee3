"""Requests that are tried again with what the server asked for: by what a retry is known. Pure.

2026-07-28, Multi Round-Trip Requests: a result with `resultType: "input_required"` names `inputRequests`, a
`requestState`, or both, and ends its request. The client sends it again under a new id, with `inputResponses` under the
same names and the very same `requestState`.
"""

from __future__ import annotations

from km_client.agent.open_calls import InFlight, digest, digest_of_names
from km_client.agent.understanding import Message, names_of


def asked_for(result: Message, asked: InFlight) -> str | None:
    """What the retry of `asked` will be known by; `None` where `result` wants none, or nothing to know it by."""
    body = result.body
    if body.result_type != "input_required":
        return None
    if isinstance(body.request_state, str):
        return digest(body.request_state)
    wanted = names_of(body.input_requests)
    return digest_of_names(asked.method, asked.tool, wanted) if wanted else None


def brought_by(request: Message) -> str | None:
    """What `request` is known by where it is a retry."""
    body = request.body
    if isinstance(body.request_state, str):
        return digest(body.request_state)
    answers = names_of(body.input_responses)
    return digest_of_names(request.method or "", request.tool, answers) if answers else None
