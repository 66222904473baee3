"""What of a URL may be a secret, and the URL without it. Pure.

    hidden_url("https://me:pw@host/s/9fKqT2vLx0Zr/mcp?key=k")    ->  "https://host/s/~hidden~/mcp"

Many servers are reached by an address that is itself the key to them: whoever knows `/s/9fKqT2vLx0Zr/mcp` may use it. A
segment of a path is taken for a secret if most of it is neither words nor short numbers, as of UUIDs, tokens, hashes.
A password that is a word cannot be told from a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

HIDDEN = "~hidden~"  # stands in a path as it is, so that the address of a listener can have it
LEAST_RANDOM = 8  # characters beside words and numbers
LEAST_SECRET = 4  # characters: anything shorter is found by chance everywhere in a text
_PARTS = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[A-Za-z][a-z]{0,19}(?:[A-Z][a-z]{2,14}){0,3}[0-9]{0,4}|[A-Z]{1,8}[0-9]{0,4}|[0-9]{1,4}")


def looks_secret(segment: str) -> bool:
    """Whether a segment of a path is to be hidden."""
    parts = _PARTS.findall(unquote(segment))
    return sum(len(part) for part in parts if not _WORD.fullmatch(part)) >= LEAST_RANDOM


def hidden_path(path: str, also: Iterable[str] = ()) -> str:
    """`path`, without a query, with its secret segments hidden, and those that are in `also`."""
    known = set(also)
    return "/".join(HIDDEN if part in known or looks_secret(part) else part for part in path.split("/"))


def hidden_url(url: str) -> str:
    """For words about an address that somebody else named: without credentials, query and secret segments."""
    place = re.split(r"[?#]", url, maxsplit=1)[0]
    start, slashes, rest = place.rpartition("//") if "//" in place else ("", "", place)
    authority, slash, path = rest.partition("/") if slashes else ("", "", rest)
    return start + slashes + authority.rpartition("@")[2] + slash + hidden_path(path)


def secrets_of(path: str, password: str, values: Iterable[str]) -> tuple[str, ...]:
    """What must not be told of an address: secret segments, values of the query, the password, and whatever came from
    variables. The longest first.
    """
    endpoint, _, query = path.partition("?")
    pieces = [piece for each in values for piece in each.split("/") if piece]
    found = {part for part in endpoint.split("/") if looks_secret(part) or any(piece in part for piece in pieces)}
    found |= {each.partition("=")[2] or each for each in query.split("&")} | {password}
    found |= {unquote(each) for each in found}
    return tuple(sorted(found - {""}, key=len, reverse=True))


def without(secrets: Iterable[str], text: str) -> str:
    """`text` with each of these hidden, wherever it stands."""
    for secret in secrets:
        if len(secret) >= LEAST_SECRET:
            text = text.replace(secret, HIDDEN)
    return text
