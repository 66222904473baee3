"""Who may decide about a plugin: a person with the permission, and never one of its author's organisation.

require(user, Duty.CODE, plugin)        raises `NotAReviewer`, saying which of both it is
"""

from __future__ import annotations

from enum import Enum

from django.contrib.auth.models import User

from customers.models import Member
from plugins_registry.errors import NotAReviewer
from plugins_registry.models import Plugin


class Duty(Enum):
    """What is to be done, by the permission it takes."""

    SECURITY = "plugins_registry.review_security"
    CODE = "plugins_registry.review_code"
    YANK = "plugins_registry.yank_revision"
    BLOCK = "plugins_registry.block_revision"
    APPEAL = "plugins_registry.decide_appeal"


REVIEWS = (Duty.SECURITY, Duty.CODE)


def actor_of(user: User) -> str:
    """As the audit log names a person."""
    return f"user:{user.get_username()}"


def is_of_the_author(user: User, plugin: Plugin) -> bool:
    """Whether `user` belongs to the organisation whose plugin it is."""
    return plugin.owner_id is not None and Member.objects.filter(customer_id=plugin.owner_id, user=user).exists()


def require(user: User, duty: Duty, plugin: Plugin) -> None:
    """Raises `NotAReviewer`."""
    require_any(user, (duty,), plugin)


def require_any(user: User, duties: tuple[Duty, ...], plugin: Plugin) -> None:
    """As `require`, with one of several permissions. Raises `NotAReviewer`."""
    require_permission(user, duties)
    if is_of_the_author(user, plugin):
        raise NotAReviewer(f"{user.get_username()} belongs to {plugin.owner}, whose plugin it is", "ask somebody else")


def require_permission(user: User, duties: tuple[Duty, ...]) -> None:
    """One of the permissions, whoever's plugin it is: to take something away. Raises `NotAReviewer`."""
    if not user.is_active or not any(user.has_perm(duty.value) for duty in duties):
        needed = " or ".join(f"`{duty.value}`" for duty in duties)
        raise NotAReviewer(f"{user.get_username()} has not the permission {needed}", "an operator grants it")
