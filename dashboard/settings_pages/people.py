"""The organisation's members and those who are invited. Everybody sees them; who may change them, `permits` says."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from core.clock import now
from core.errors import ApiError
from customers import invitations, letters, members
from customers.models import Customer
from customers.permissions import Permission, may_give, roles_given_by
from dashboard import boundary
from dashboard.boundary import member_act, member_page
from dashboard.settings_pages.acts import acted, told

PAGE = "dashboard:members"


@member_page
def listed(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Members with their roles, and open invitations."""
    mine = boundary.membership(request)
    may_manage = boundary.may(request, Permission.MANAGE_MEMBERS)
    invited = invitations.pending(customer) if may_manage else []
    context = {
        "customer": customer,
        "member": mine,
        "section": "settings",
        "page": "members",
        "rows": [(row, may_give(mine.role, row.role)) for row in members.listed(customer)],
        "invited": [(row, may_give(mine.role, row.role)) for row in invited],
        "may_manage": may_manage,
        "roles": roles_given_by(mine.role),
        "now": now(),
    }
    return render(request, "dashboard/settings/members.html", context)


@member_act
def invite(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Send somebody a letter."""
    email, role = request.POST.get("email", ""), request.POST.get("role", "")
    mine = boundary.membership(request)
    return acted(
        request,
        PAGE,
        lambda: letters.send_invitation(invitations.invite(customer, email, role, by=mine, at=now())),
        f"A letter is on its way to {email.strip()}.",
    )


@member_act
def resend(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """Send a new link; the old one ends."""
    mine = boundary.membership(request)
    return acted(
        request,
        PAGE,
        lambda: letters.send_invitation(invitations.resend(customer, public_id, by=mine, at=now())),
        "A new letter is on its way. The link of the one before no longer works.",
    )


@member_act
def revoke(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """End an invitation."""
    mine = boundary.membership(request)
    return acted(
        request, PAGE, lambda: invitations.revoke(customer, public_id, by=mine, at=now()), "The invitation is revoked."
    )


@member_act
def change_role(request: HttpRequest, customer: Customer, member_id: int) -> HttpResponse:
    """Give a member another role."""
    mine, role = boundary.membership(request), request.POST.get("role", "")
    return acted(
        request,
        PAGE,
        lambda: members.change_role(customer, member_id, role, by=mine, at=now()),
        "The role is changed.",
    )


@member_act
def remove(request: HttpRequest, customer: Customer, member_id: int) -> HttpResponse:
    """End somebody's membership."""
    mine = boundary.membership(request)
    return acted(
        request, PAGE, lambda: members.remove(customer, member_id, by=mine, at=now()), "The member is removed."
    )


@member_act
def leave(request: HttpRequest, customer: Customer) -> HttpResponse:
    """End one's own membership."""
    try:
        members.leave(boundary.membership(request), at=now())
    except ApiError as error:
        told(request, error)
        return redirect(PAGE)
    request.session.pop(boundary.CHOSEN, None)
    messages.success(request, f"You left {customer.name}.")
    return redirect("dashboard:security")
