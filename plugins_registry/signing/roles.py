"""The roles that sign, as a table: which keys this server holds, and how long what they sign is good for.

Role.ROOT, Role.CATALOG_TARGETS   offline: people hold the keys, the server knows the public halves
release                           reviewers' own keys, two of them: `ReviewerKey` rows, not roles of the server
all others                        online: the server signs with them by itself
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class Role(StrEnum):
    """What a key of the server, or of whoever founded it, may sign."""

    ROOT = "root"
    CATALOG_TARGETS = "catalog-targets"
    CATALOG_SNAPSHOT = "catalog-snapshot"
    CATALOG_TIMESTAMP = "catalog-timestamp"
    SECURITY = "security"
    DIRECTOR_TARGETS = "director-targets"
    DIRECTOR_SNAPSHOT = "director-snapshot"
    DIRECTOR_TIMESTAMP = "director-timestamp"
    ISSUER = "issuer"


OFFLINE = frozenset({Role.ROOT, Role.CATALOG_TARGETS})
ONLINE = tuple(role for role in Role if role not in OFFLINE)

ROOT_THRESHOLD = 2
ROOT_KEYS = 3  # any one may be lost, any one may be stolen
REVIEW_THRESHOLD = 2  # two people, as in the review itself

ROOT_LIFETIME = timedelta(days=365)
CATALOG_TARGETS_LIFETIME = timedelta(days=180)
RELEASE_LIFETIME = timedelta(days=180)
SECURITY_LIFETIME = timedelta(days=1)  # a laptop that is kept from the blocklist notices within a day
SNAPSHOT_LIFETIME = timedelta(days=7)
TIMESTAMP_LIFETIME = timedelta(days=1)
DIRECTOR_LIFETIME = timedelta(days=30)
