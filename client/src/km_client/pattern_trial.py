"""Whether a person's own pattern may keep the agent busy without end: tried on short texts before it is written down.

    takes_too_long("(a+)+$")  →  True        takes_too_long("TICKET-[0-9]{6}")  →  False

Python's expressions go back and try again, some of them twice as often for each letter more. Nothing can stop one that
runs, so it is tried in a process of its own, on what such expressions are slowest on: their own letters, repeated.
"""

from __future__ import annotations

import subprocess
import sys

TRIAL_SECONDS = 5.0  # a linear pattern takes milliseconds, a quadratic one half a second
_TRY = """
import re, sys, warnings
warnings.simplefilter("ignore")
text = sys.stdin.buffer.read()
words = {b"a", b"A", b"0", b" ", b"-", *re.findall(rb"[A-Za-z0-9]", text), *re.findall(rb"[A-Za-z0-9]{2,}", text)}
expression = re.compile(text)
for word in sorted(words):
    for _ in expression.finditer((word * 2048)[:2048] + b"\\0"):
        pass
"""


def takes_too_long(expression: str) -> bool:
    """`expression` is one that compiles. It takes as long as Python needs to start, at most `TRIAL_SECONDS`."""
    try:
        subprocess.run(
            [sys.executable, "-I", "-c", _TRY],
            input=expression.encode(),
            capture_output=True,
            timeout=TRIAL_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return True
    return False
