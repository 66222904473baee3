"""`GET /metrics`: Prometheus' text, for whoever may look.

    curl -H "Authorization: Bearer $KM_METRICS_TOKEN" http://127.0.0.1:8318/metrics

Two ways in, both by setting: a token, or an address of `KM_METRICS_NETWORKS`. Without either, only this machine may
look, and nobody once `KM_PUBLIC_URL` is not this machine: a proxy in front makes every stranger look like a neighbour.
For the same reason a request that says it was forwarded has no address unless `KM_TRUST_PROXY` vouches for it.
"""

from __future__ import annotations

import ipaddress
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from core import metrics
from core.errors import Forbidden, as_response
from core.throttling import address_of

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
_SCHEME = "Bearer "


@require_safe
def scrape(request: HttpRequest) -> HttpResponse:
    """All metrics, or 403 and why."""
    if not (_has_token(request) or _is_near(request)):
        return as_response(
            Forbidden(
                "this address is for the service's monitoring, and the caller is not known as that",
                "send `Authorization: Bearer …` with the value of KM_METRICS_TOKEN, or name your network in"
                " KM_METRICS_NETWORKS",
            )
        )
    text, content_type = metrics.page(request.headers.get("Accept", ""))
    return HttpResponse(text, content_type=content_type, headers={"Cache-Control": "no-store"})


def _has_token(request: HttpRequest) -> bool:
    sent: str = request.META.get("HTTP_AUTHORIZATION", "")
    expected: str = settings.METRICS_TOKEN
    return bool(expected) and secrets.compare_digest(sent.encode(), f"{_SCHEME}{expected}".encode())


def _is_near(request: HttpRequest) -> bool:
    """Whether the caller's address is in one of the networks, and is the caller's."""
    if not settings.TRUST_PROXY and any(request.META.get(name) for name in _FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(address_of(request))
    except ValueError:  # a Unix socket, or a proxy's word that is no address
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in settings.METRICS_NETWORKS)
