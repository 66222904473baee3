"""Who may do what: a pure table of role → permissions.

    Permission.MANAGE_KEYS in permissions_of("admin")   → True
    may_give("admin", "owner")                          → False

Each role has all of the one below it. Which page or act needs which permission is said where its address is
(`dashboard.permits`); an API key's rights are its scopes (`customers.scopes`), and only who may manage keys makes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """One thing a member of a customer may do."""

    READ = "look at what was recorded"
    WORK = "change what the team works with"
    MANAGE_KEYS = "issue, rotate and revoke API keys"
    MANAGE_MEMBERS = "invite people and change their roles"
    MANAGE_SETTINGS = "change the organisation's settings"
    READ_AUDIT = "read the audit log"
    MANAGE_OWNERS = "make and unmake owners"


_VIEWER = frozenset({Permission.READ})
_MEMBER = _VIEWER | {Permission.WORK}
_ADMIN = _MEMBER | {
    Permission.MANAGE_KEYS,
    Permission.MANAGE_MEMBERS,
    Permission.MANAGE_SETTINGS,
    Permission.READ_AUDIT,
}
_OWNER = _ADMIN | {Permission.MANAGE_OWNERS}

OWNER, ADMIN, MEMBER, VIEWER = "owner", "admin", "member", "viewer"
ROLES: Mapping[str, frozenset[Permission]] = {OWNER: _OWNER, ADMIN: _ADMIN, MEMBER: _MEMBER, VIEWER: _VIEWER}
"""From the one who may do most to the one who may do least."""


def permissions_of(role: str) -> frozenset[Permission]:
    """What `role` may do: nothing, where there is no such role."""
    return ROLES.get(role, frozenset())


def may_give(role: str, given: str) -> bool:
    """Whether somebody with `role` may make another `given`, or change one who is `given`."""
    needed = Permission.MANAGE_OWNERS if given == OWNER else Permission.MANAGE_MEMBERS
    return given in ROLES and needed in permissions_of(role)


def roles_given_by(role: str) -> list[str]:
    """The roles that somebody with `role` may give, the least first."""
    return [each for each in reversed(list(ROLES)) if may_give(role, each)]
