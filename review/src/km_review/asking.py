"""What only the person at the keyboard may answer: a passphrase, and whether to sign.

At a terminal a passphrase is not echoed. Without one, each answer is a line of standard input, so that a test can give
it; there is no flag that answers in advance, since a signature nobody was asked for is no review.
"""

from __future__ import annotations

import getpass
import sys

from km_review.errors import ReviewError


def passphrase(prompt: str) -> str:
    """Raises `ReviewError` when there is nobody to ask."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{prompt}: ")
    return _line(prompt)


def answer(prompt: str) -> str:
    """A line, without the space around it. Raises `ReviewError` when there is nobody to ask."""
    return _line(prompt).strip()


def _line(prompt: str) -> str:
    sys.stderr.write(f"{prompt}: ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise ReviewError("nobody_to_ask", f"nobody answered: {prompt}", "run this at a terminal")
    return line.rstrip("\n")
