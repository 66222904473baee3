"""A customer's people: which role each has, and how that changes.

    change_role(customer, member.pk, "admin", by=mine, at=moment)
    remove(customer, member.pk, by=mine, at=moment)
    leave(mine, at=moment)

Guarantees: the last owner stays one; nobody gives or takes a role above what they may (`permissions.may_give`); every
act is in the audit log. Owners are locked while their number changes, so that two cannot leave at the same moment.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import QuerySet

from core.errors import Forbidden, InvalidRequest
from customers import audit
from customers.errors import LastOwner, UnknownMember
from customers.models import Customer, Member
from customers.permissions import OWNER, ROLES, may_give

MAX_ID = 2**63 - 1  # what a bigint holds


def memberships_of(user: AbstractBaseUser | AnonymousUser) -> list[Member]:
    """Every customer a signed-in person belongs to, the first one they joined first. One query."""
    if not user.is_authenticated:
        return []
    return list(Member.objects.filter(user_id=user.pk).select_related("customer").order_by("id"))


def listed(customer: Customer) -> QuerySet[Member]:
    """The members of `customer` with their users, the first to join first."""
    return Member.objects.filter(customer=customer).select_related("user").order_by("id")


def get(customer: Customer, member_id: int) -> Member:
    """One member of `customer`. Raises `UnknownMember`, also for a member of somebody else."""
    member = listed(customer).filter(pk=member_id).first() if member_id <= MAX_ID else None
    if member is None:
        raise UnknownMember("there is no such member", "the list of members shows who is there")
    return member


def change_role(customer: Customer, member_id: int, role: str, *, by: Member | str, at: datetime) -> Member:
    """Give a member another role. `by` is a member, or an operator as the audit log names them.

    Raises `Forbidden`, `InvalidRequest`, `LastOwner`, `UnknownMember`.
    """
    with transaction.atomic():
        owners = _locked_owners(customer)
        member = get(customer, member_id)
        _check_may_give(by, member.role, role)
        if member.role == role:
            return member
        _check_not_last(member, owners)
        before, member.role = member.role, role
        member.save(update_fields=["role"])
        _record("member.role_changed", member, customer, by, at, before=before, role=role)
    return member


def remove(customer: Customer, member_id: int, *, by: Member | str, at: datetime) -> None:
    """End a membership. `by` as in `change_role`. Raises `Forbidden`, `LastOwner`, `UnknownMember`."""
    with transaction.atomic():
        owners = _locked_owners(customer)
        member = get(customer, member_id)
        _check_may_give(by, member.role, member.role)
        _check_not_last(member, owners)
        _record("member.removed", member, customer, by, at, role=member.role)
        member.delete()


def leave(member: Member, *, at: datetime) -> None:
    """End one's own membership, which anybody may but the last owner. Raises `LastOwner`."""
    with transaction.atomic():
        owners = _locked_owners(member.customer)
        _check_not_last(member, owners)
        _record("member.left", member, member.customer, member, at, role=member.role)
        Member.objects.filter(pk=member.pk).delete()


def actor_of(member: Member) -> str:
    """How the audit log names a person."""
    return f"user:{member.user.get_username()}"


def _locked_owners(customer: Customer) -> set[int]:
    owners = Member.objects.select_for_update().filter(customer=customer, role=OWNER).order_by("id")
    return set(owners.values_list("pk", flat=True))


def _check_not_last(member: Member, owners: set[int]) -> None:
    if owners == {member.pk}:
        raise LastOwner("this is the organisation's last owner", "make somebody else an owner first")


def _check_may_give(by: Member | str, before: str, role: str) -> None:
    if role not in ROLES:
        raise InvalidRequest(f"there is no role `{role[:20]}`", f"the roles are {', '.join(ROLES)}")
    if isinstance(by, Member) and not (may_give(by.role, before) and may_give(by.role, role)):
        raise Forbidden(f"the role `{by.role}` may not do this", "ask an owner of your organisation")


def _record(action: str, member: Member, customer: Customer, by: Member | str, at: datetime, **details: str) -> None:
    email = member.user.get_username()
    subject, actor = f"member:{member.pk}", by if isinstance(by, str) else actor_of(by)
    audit.record(action, subject=subject, at=at, actor=actor, customer=customer, email=email, **details)
