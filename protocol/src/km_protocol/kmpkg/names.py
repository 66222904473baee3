"""A plugin's name, by the one rule of every place that holds one: a manifest, a token's audience, a request.

is_plugin_name("api-logger")     True
is_plugin_name("API_Logger")     False
"""

from __future__ import annotations

import re

PATTERN = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
MAX_LENGTH = 64
HINT = "lower-case words joined by `-`, such as `my-plugin`"

_NAME = re.compile(PATTERN)


def is_plugin_name(text: str) -> bool:
    """Whether `text`, all of it, is a plugin's name."""
    return len(text) <= MAX_LENGTH and _NAME.fullmatch(text) is not None
