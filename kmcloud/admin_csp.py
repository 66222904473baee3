"""The Content-Security-Policy of every page, with one of its own for the admin console.

django-unfold's pages run inline scripts and Alpine expressions, which need `unsafe-inline` and `unsafe-eval`; still
nothing is loaded from, sent to, or framed by another site. Every other page gets the strict policy, and so does any
address somebody forgets here.
"""

from __future__ import annotations

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

ADMIN_PREFIX = "/admin/"  # where kmcloud.urls puts the console


class PolicyMiddleware(CSPMiddleware):
    """`settings.ADMIN_CONTENT_SECURITY_POLICY` under the admin console's address, else `CONTENT_SECURITY_POLICY`."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts: PolicyParts = super().get_policy_parts(request, response, report_only)
        if not report_only and request.path_info.startswith(ADMIN_PREFIX):
            parts.config = settings.ADMIN_CONTENT_SECURITY_POLICY
        return parts
