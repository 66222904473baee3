"""The list of tools as a client may see it, and what is noted about the rest. Pure.

    given(listing, text, pins)  ->  ('{"jsonrpc":"2.0","id":2,"result":{"tools":[…]}}', [{"tool": "read", …}])

A tool that is as it is pinned keeps its bytes; a changed one is given as it is pinned, and what is not pinned, or has
no name, is left out.
"""

from __future__ import annotations

import json

from km_client.pinning.definitions import Listed, Listing
from km_client.pinning.pins import Pins

NOTE = "kilometers/withheld"
MOST_NAMED = 100  # tools in one note


def may_list(message: bytes) -> bool:
    """Whether a member could be called `tools`: in letters of either case (U+017F is an `s`, too), or in escapes."""
    folded = message.lower()
    return b'tools"' in folded or b'tool\xc5\xbf"' in folded or b"\\u0" in folded


def key_of(identifier: object) -> str:
    """Ids that some client takes for the same: `1`, `1.0` and `"1"`."""
    is_whole = isinstance(identifier, float) and identifier.is_integer()
    return str(int(identifier) if isinstance(identifier, float) and is_whole else identifier)


def given(listing: Listing, text: str, pins: Pins) -> tuple[str, list[dict[str, object]]]:
    """`text`, whose list is `listing`, with what is held taken out; what that is, and nothing if it is nothing."""
    shown = [_shown(each, pins) for each in listing.tools]
    held = [_fact(each, pins) for each, part in zip(listing.tools, shown, strict=True) if part is not None]
    if not held:
        return text, []
    parts = [each.span.of(text) if part is None else part for each, part in zip(listing.tools, shown, strict=True)]
    array = f"[{','.join(part for part in parts if part)}]"
    return text[: listing.array.start] + array + text[listing.array.end :], held


def note(identifier: object, facts: dict[str, object]) -> bytes:
    """A line of the recording about the answer to this request."""
    return json.dumps({"jsonrpc": "2.0", "method": NOTE, "params": {"requestId": identifier, **facts}}).encode()


def note_of_list(identifier: object, held: list[dict[str, object]]) -> bytes:
    facts = {"tools": held[:MOST_NAMED], "count": len(held), "given": "the definitions that are pinned"}
    return note(identifier, facts)


def _shown(listed: Listed, pins: Pins) -> str | None:
    """What stands for this tool: `None` for itself, blank for nothing."""
    pin = pins.pinned.get(listed.definition.name) if listed.definition else None
    if pin is None or listed.definition is None:
        return ""
    return None if pin.digest == listed.definition.digest and not listed.is_ambiguous else pin.text


def _fact(listed: Listed, pins: Pins) -> dict[str, object]:
    found = listed.definition
    if found is None:
        return {"tool": None, "change": "it has no name"}
    pin = pins.pinned.get(found.name)
    change = "changed" if pin else "new"
    return {"tool": found.name, "change": change, "pinned": pin.digest if pin else None, "now": found.digest}
