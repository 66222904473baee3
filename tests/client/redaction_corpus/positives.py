"""Messages with one secret each, and whether any of it is left after redaction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.client.redaction_corpus import contexts, values
from tests.client.redaction_corpus.values import Maker

SEEDS = {"fitted": 7, "held out": 20_261_123}
ROUNDS = 2  # values of each format in each set
FRAMES = 6  # of each value


class Case(NamedTuple):
    """`message` is one line of JSON; `secret` stands in it, in whatever encoding."""

    provider: str
    secret: str
    message: bytes


def cases(which: str) -> Iterator[Case]:
    """The set of that name, `fitted` or `held out`: the same at every call."""
    maker = Maker(SEEDS[which])
    wrappers = contexts.WRAPPERS[which]
    for provider, text, secret in _texts(maker, which):
        yield Case(provider, secret, maker.choice(wrappers)(text).encode())


def _texts(maker: Maker, which: str) -> Iterator[tuple[str, str, str]]:
    for _ in range(ROUNDS):
        for provider, make in values.SHAPED:
            for frame in maker.sample(contexts.SHAPED[which], FRAMES):
                secret = make(maker)
                yield provider, frame.replace("{}", secret), secret
        for provider, name, make in values.NAMED:
            for frame in contexts.NAMED[which]:
                secret = make(maker)
                yield provider, _named(frame, name, secret), secret
        for carrier in contexts.CARRIERS[which]:
            for _ in range(FRAMES):
                text, secret = carrier.make(maker)
                yield carrier.provider, text, secret


def _named(frame: str, name: str, secret: str) -> str:
    flag = name.replace("_", "-")
    words = {"N": name.upper(), "--n": f"--{flag}", "Dn": f"D{name}", "n": name, "v": secret}
    return re.sub(r"--n\b|\bDn\b|\bN\b|\bn\b|\bv\b", lambda found: words[found[0]], frame)


def is_left(case: Case, redacted: bytes) -> bool:
    """Whether half of the secret, or sixteen characters of it, can still be read."""
    text = redacted.decode()
    for _ in range(4):  # as deep as texts are nested within texts
        text = re.sub(r"\\u00([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), text)
        text = re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r", "t": "\t"}.get(found[1], found[1]), text)
    width = max(4, min(16, len(case.secret) // 2))
    body = case.secret if not case.secret.startswith("-----BEGIN") else case.secret.split("\n", 1)[1].rsplit("\n", 1)[0]
    return any(body[at : at + width] in text for at in range(len(body) - width + 1))
