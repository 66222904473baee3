"""Every pattern there is. Of overlapping secrets that begin and end together, the first one's kind is named."""

from __future__ import annotations

from km_client.redaction import carriers, named, providers
from km_client.redaction.pattern import SecretPattern

PATTERNS: tuple[SecretPattern, ...] = providers.PATTERNS + carriers.PATTERNS + named.PATTERNS
