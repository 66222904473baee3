"""A Python plugin's `requirements.txt`: each requirement is one version with the SHA-256 of its wheels, nothing else.

    idna==3.10 --hash=sha256:946d195a…

It is built without a network, from wheels that these hashes name: what is written otherwise is in no package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from km_protocol.errors import ProtocolError

FILE_NAME = "requirements.txt"
COMMAND = "uv pip compile --generate-hashes requirements.in -o requirements.txt"
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+_-]+)((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", re.ASCII)
_HASH = re.compile(r"sha256:([0-9a-f]{64})")


class PinError(ProtocolError):
    """A requirement that does not say, by its hash, which bytes it means."""

    code = "not_pinned"


class Pin(NamedTuple):
    """`name` as package indexes normalise it (PEP 503); `hashes` are of the wheels that will do."""

    name: str
    version: str
    hashes: frozenset[str]


def read(text: str) -> Iterator[Pin]:
    """Every requirement, in order. Raises `PinError` at the first that is none."""
    for number, line in _requirements(text):
        match = _PIN.fullmatch(line)
        if match is None:
            message = f"`{FILE_NAME}`, line {number}: `{line[:80]}` is no version pinned by its hash"
            raise PinError(message, f"write `name==1.2.3 --hash=sha256:…`: `{COMMAND}` does")
        name = re.sub(r"[-_.]+", "-", match[1]).lower()
        yield Pin(name, match[2], frozenset(_HASH.findall(match[3])))


def _requirements(text: str) -> Iterator[tuple[int, str]]:
    """Where each begins, and what it says without comments; a line may go on in the next one."""
    begun, start = "", 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        start = start if begun else number
        begun += line
        if begun.endswith("\\"):
            begun = begun[:-1] + " "
            continue
        if said := re.sub(r"(^|\s)#.*", "", begun).strip():
            yield start, said
        begun = ""
