"""What the plan includes, how much of it is used, and how long events are kept."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.clock import now
from customers.models import Customer
from dashboard.boundary import member_page
from dashboard.plan import plan


@member_page
def shown(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Tier, quota, retention, features."""
    at = now()
    figures = plan(customer, at=at)
    context = {
        "customer": customer,
        "section": "settings",
        "page": "usage",
        "plan": figures,
        "entitlement": figures.entitlement,
        "features": sorted(figures.entitlement.features),
        "now": at,
    }
    return render(request, "dashboard/settings/usage.html", context)
