"""What a bridge reads from the variables of its own entry, for every user of a machine can read its arguments.

    {"url": "https://…", "headers": {"A": "secret"}}
    {"args": […, "--url", "https://…", "--header", "A: env:KM_HEADER_1"], "env": {"KM_HEADER_1": "secret"}}

Moved is the value of every header, and an address with anything in it that may be a key. Where the client fills in
variables, it does so in the environment too: `Bearer ${input:key}` moves as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from typing import NamedTuple

from km_client.proxy.http.hiding import hidden_url
from km_client.wrapping.dialect import Dialect
from km_client.wrapping.documents.tree import Member
from km_client.wrapping.invocation import Invocation

BY_THE_MONITOR = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_OURS = re.compile(r"KM_(?:HEADER_[1-9][0-9]*|URL(?:_[1-9][0-9]*)?)")
_PAIR = re.compile(r"(?<=[?&])[^&#=]*=" + BY_THE_MONITOR.pattern + r"(?:&|(?=#|$))")  # of a query
_NAMED = "env:"  # in `--url` and `--header`: what follows is the name of the variable that holds all of the value


class Bridge(NamedTuple):
    """The values of `--url` and of each `--header`, and the variables that we keep for them: name → value."""

    url: str
    headers: dict[str, str]
    variables: dict[str, str]


def moved(url: str, headers: Mapping[str, str], dialect: Dialect, taken: Iterable[str]) -> Bridge:
    """As the bridge to a remote server is written; `taken` are the names that the entry's environment has."""
    known = {name.upper() for name in taken}  # Windows does not tell cases apart
    names = _free("HEADER", map("_{}".format, count(1)), known)
    variables, said = dict[str, str](), dict[str, str]()
    for key, value in headers.items():
        if stays(value, dialect):
            said[key] = value
        else:
            name = next(names)
            said[key], variables[name] = _NAMED + name, value.strip()
    if address_stays(url, dialect):
        return Bridge(url, said, variables)
    name = next(_free("URL", chain([""], map("_{}".format, count(2))), known))
    return Bridge(_NAMED + name, said, variables | {name: url})


def _free(kind: str, endings: Iterable[str], known: set[str]) -> Iterator[str]:
    return (name for ending in endings if (name := f"KM_{kind}{ending}") not in known)


def stays(value: str, dialect: Dialect) -> bool:
    """Whether a header's value stays an argument: there is none, or the monitor fills it in."""
    return not value.strip() or (dialect.fills_headers and bool(BY_THE_MONITOR.search(value)))


def address_stays(url: str, dialect: Dialect) -> bool:
    """Whether an address stays an argument: it holds no key, or the monitor fills that in."""
    return dialect.fills_headers if has_variable(url) or "$" in url else not has_key(url)


def has_key(url: str) -> bool:
    """Whether anything in an address may be a key, beside what the monitor fills in: sign-in, path or query."""
    left = BY_THE_MONITOR.sub("x", _PAIR.sub("", url)).partition("#")[0].rstrip("?")
    return hidden_url(left) != left


def has_variable(url: str) -> bool:
    """Whether a client fills in a part of this address, such as `${input:address}`, or the monitor does."""
    return "${" in url or "{env:" in url or "{file:" in url or url.startswith("$")


def texts(environment: Member | None) -> dict[str, str]:
    """The variables of an entry, without what is no text."""
    members = environment.node.members if environment else ()
    return {member.key: member.node.text for member in members if member.node.kind == "text"}


def filled(found: Invocation, environment: Member | None) -> Bridge:
    """A bridge as its entry's environment fills it in; the variables are those that are there for it alone."""
    known, named = texts(environment), _named(found)

    def value(said: str) -> str:
        return known.get(said.removeprefix(_NAMED), said) if said.startswith(_NAMED) else said

    ours = {name: known[name] for name in named if name in known and _OURS.fullmatch(name)}
    return Bridge(value(found.url or ""), {key: value(said) for key, said in found.headers.items()}, ours)


def missing(found: Invocation, environment: Member | None) -> list[str]:
    """The variables that a bridge names and its entry does not have: where they are set only a person knows."""
    return [name for name in _named(found) if name not in texts(environment)] if not found.server else []


def _named(found: Invocation) -> list[str]:
    said = [found.url or "", *found.headers.values()]
    return [each.removeprefix(_NAMED) for each in said if each.startswith(_NAMED)]
