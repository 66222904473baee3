"""The reasons a decision may give: a code for programs, and what it says to the author."""

from __future__ import annotations

from plugins_registry.errors import InvalidDecision

MAX_COMMENT_CHARACTERS = 10_000
MAX_REASON_CHARACTERS = 500

REASONS = {
    "malicious": "it does what its author hides",
    "undeclared_capability": "it does more than its manifest says",
    "excessive_permissions": "it asks for more than it needs",
    "vulnerable": "it can be made to do harm",
    "secrets": "it holds a key or a password",
    "unpinned_dependencies": "its dependencies are not pinned",
    "licence": "its licence does not allow this",
    "impersonation": "it passes for what it is not",
    "not_reproducible": "the same source does not give the same program",
    "unreadable": "its source cannot be reviewed as it is",
    "quality": "it does not work as it says",
    "policy": "it breaks the registry's rules",
    "author_request": "its author asked for it",
}

AUTOMATIC = "automatic"
"""Of an approval by rule; no person gives it."""


def checked_reason(code: str, comment: str, *, needed: bool) -> None:
    """Raises `InvalidDecision`. Where a reason is `needed`, so is a comment: a code alone helps no author."""
    if code not in REASONS and (needed or code):
        raise InvalidDecision(f"`{code[:40]}` is no reason", f"one of {', '.join(f'`{each}`' for each in REASONS)}")
    if needed and not comment.strip():
        raise InvalidDecision("there is no comment", "say what the author can do about it")
    if len(comment) > MAX_COMMENT_CHARACTERS or "\0" in comment:
        raise InvalidDecision(f"a comment has at most {MAX_COMMENT_CHARACTERS:,} characters of text", "shorten it")
