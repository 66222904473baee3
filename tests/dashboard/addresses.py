"""The service's addresses as the resolver has them, and what stands in their holes.

    for written, pattern in routes("app/"): …        → "app/alerts/rules/<str:public_id>"
    pieces("app/alerts/rules/<str:public_id>")       → ["rules/<str:public_id>"]
    filled("app/alerts/rules/<str:public_id>", {"rules/<str:public_id>": "rul_1"})    → "/app/alerts/rules/rul_1"

`NOBODYS` has for each piece an id of the right shape that no row ever had.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from urllib.parse import quote
from uuid import UUID

from django.urls import URLPattern, URLResolver, get_resolver

from dashboard.session_ids import SessionIdConverter

_HOLE = re.compile(r"<\w+:\w+>")
NOBODYS: Mapping[str, object] = {
    "events/<uuid:event_id>": UUID(int=7),
    "sessions/<session_id:session_id>": "session-of-nobody",
    "exchanges/<uuid:event_id>": UUID(int=7),
    "messages/<uuid:event_id>": UUID(int=7),
    "catalog/<str:plugin_id>": "plg_00000000000000000000",
    ">/<str:revision_id>": "rev_00000000000000000000",
    "machines/<str:machine_id>": "mac_00000000000000000000",
    "submissions/<str:public_id>": "rev_00000000000000000000",
    "submissions/<str:revision_id>": "rev_00000000000000000000",
    "incidents/<str:public_id>": "inc_00000000000000000000",
    "rules/<str:public_id>": "rul_00000000000000000000",
    "destinations/<str:public_id>": "dst_00000000000000000000",
    "messages/<str:public_id>": "msg_00000000000000000000",
    "definitions/<int:definition_id>": 10**9,
    "changes/<int:change_id>": 10**9,
    "members/<int:member_id>": 10**9,
    "invitations/<str:public_id>": "inv_00000000000000000000",
    "keys/<str:key_id>": "key_00000000000000000000",
    "sessions/<int:session_id>": 10**9,
    "passkeys/<int:pk>": 10**9,
    "director/<str:customer>": "cus_00000000000000000000",
    ">/<path:path>": "timestamp.json",
}


def routes(beneath: str) -> Iterator[tuple[str, URLPattern]]:
    """Every address of the service beneath a prefix, as it is written: (`app/events/<uuid:event_id>`, pattern)."""
    yield from (each for each in _walk("", get_resolver().url_patterns) if each[0].startswith(beneath))


def _walk(prefix: str, patterns: list[URLPattern | URLResolver]) -> Iterator[tuple[str, URLPattern]]:
    for each in patterns:
        written = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _walk(written, each.url_patterns)
        else:
            yield written, each


def pieces(written: str) -> list[str]:
    """The holes of a route, each after the word before it: `keys/<str:key_id>`; `>/…` after another hole."""
    segments = written.split("/")
    holes = [(before, _HOLE.search(segment)) for before, segment in pairwise(["", *segments])]
    return [f"{'>' if '<' in before else before}/{hole.group()}" for before, hole in holes if hole]


def filled(written: str, ids: Mapping[str, object]) -> str:
    """The address: each hole of a route filled from `ids`, by its piece."""
    wanted = iter(pieces(written))
    return "/" + _HOLE.sub(lambda hole: _text(hole.group(), ids[next(wanted)]), written)


def _text(hole: str, value: object) -> str:
    return SessionIdConverter().to_url(str(value)) if hole == "<session_id:session_id>" else quote(str(value))
