"""A browser's `User-Agent` (RFC 9110 § 10.1.5) in words a person knows their own machine by.

    browser("Mozilla/5.0 (X11; Linux x86_64) … Chrome/141.0.0.0 Safari/537.36")    → "Chrome 141 on Linux"
    browser("curl/8.5.0")                                                          → "curl/8.5.0", as it came

What it says is the sender's own claim; nothing is decided by it.
"""

from __future__ import annotations

import re

# In this order: Edge and Opera say that they are Chrome too, and all of them that they are Safari.
_BROWSERS = [
    ("Edge", re.compile(r"Edg(?:e|A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"OPR/(\d+)")),
    ("Firefox", re.compile(r"(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"(?:Headless)?(?:Chrome|CriOS)/(\d+)")),
    ("Safari", re.compile(r"Version/(\d+)\S* (?:Mobile/\S+ )?Safari/")),
]
# In this order: Android says that it is Linux, an iPhone that it is like Mac OS X.
_SYSTEMS = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
]


def browser(user_agent: str) -> str:
    """Its name, its version and its system; the text itself where it names no browser known here."""
    for name, pattern in _BROWSERS:
        if found := pattern.search(user_agent):
            system = next((words for mark, words in _SYSTEMS if mark in user_agent), "")
            return f"{name} {found[1]}{f' on {system}' if system else ''}"
    return user_agent
