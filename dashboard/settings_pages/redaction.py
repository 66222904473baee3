"""What each machine takes out of messages before they are sent: by its own word, for redaction happens there.

    /app/settings/redaction

Nothing can be changed here: whoever could switch redaction off from afar could read what it keeps back.
"""

from __future__ import annotations

from collections import Counter

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.clock import now
from customers import machines
from customers.models import Customer
from dashboard.boundary import member_page

KINDS_SHOWN = 20


@member_page
def shown(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The machines, the last seen first, and what was taken out on all that are shown."""
    rows = [(row, machines.redaction_of(row)) for row in machines.listed(customer)[: machines.MOST_SHOWN]]
    taken = Counter[str]()
    for _, told in rows:
        taken.update(told.redacted if told else {})
    context = {
        "customer": customer,
        "section": "settings",
        "page": "redaction",
        "rows": [(row, told, sum(told.redacted.values()) if told else 0) for row, told in rows],
        "kinds": taken.most_common(KINDS_SHOWN),
        "total": taken.total(),
        "off": sum(told is not None and not told.enabled for _, told in rows),
        "now": now(),
    }
    return render(request, "dashboard/settings/redaction.html", context)
