"""The ids that a shell offers when somebody presses Tab: quickly, so by names and notes, without a look at any message.

`compgen` of bash expands what it is given, so an id that is more than letters, digits, `.`, `_` and `-` is left out.
"""

from __future__ import annotations

import re

from km_client import paths
from km_client.agent import endings
from km_client.capture.journal import JournalError
from km_client.capture.spool import SessionSpool, list_sessions

MOST = 200  # more than that nobody reads on a screen
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def newest() -> list[str]:
    """Sessions whose journal is here, the newest first, then those that ended."""
    here = [_id(spool) for spool in reversed(list_sessions(paths.journal_dir()))]
    ended = reversed(endings.read(paths.log_dir()))
    return [each for each in dict.fromkeys((*here, *ended)) if _PLAIN.fullmatch(each)][:MOST]


def _id(spool: SessionSpool) -> str:
    try:
        return spool.session().session_id
    except (OSError, JournalError):
        return spool.name
