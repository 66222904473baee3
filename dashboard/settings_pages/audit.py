"""The organisation's audit log: read, filtered, exported, verified. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from core.clock import now
from customers import audit_chain, audit_log
from customers.models import Customer
from dashboard.boundary import member_page


@member_page
def listed(request: HttpRequest, customer: Customer) -> HttpResponse:
    """A page of entries; with `verify`, the whole chain's verdict above them."""
    action, actor = request.GET.get("action", ""), request.GET.get("actor", "")
    context = {
        "customer": customer,
        "section": "settings",
        "page": "audit",
        "found": audit_log.page(customer, action=action, actor=actor, cursor=request.GET.get("before") or None),
        "verdict": audit_chain.verify(customer.public_id) if "verify" in request.GET else None,
        "action": action,
        "actor": actor,
        "now": now(),
    }
    return render(request, "dashboard/settings/audit.html", context)


@member_page
def export(request: HttpRequest, customer: Customer) -> StreamingHttpResponse:  # noqa: ARG001
    """All of it, a JSON object a line, each with what its hash is made of."""
    lines: Iterator[bytes] = audit_log.export(customer)
    answer = StreamingHttpResponse(lines, content_type="application/x-ndjson")
    answer["Content-Disposition"] = f'attachment; filename="audit-{customer.public_id}.jsonl"'
    return answer
