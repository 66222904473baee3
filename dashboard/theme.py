"""Light, dark, or what the system says: a cookie, so that the first byte of a page already has the right theme.

    POST /app/theme   theme=dark&next=/app/    → Set-Cookie: km_theme=dark, back to the page

Without JavaScript the button is this form; with it, `dashboard.js` sets the same cookie and spares the reload.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

COOKIE = "km_theme"
SYSTEM = "system"
THEMES = (SYSTEM, "light", "dark")
COOKIE_SECONDS = int(timedelta(days=365).total_seconds())


def chosen(request: HttpRequest) -> str:
    """The theme this browser was asked to show; anything unknown is the system's."""
    asked = request.COOKIES.get(COOKIE, SYSTEM)
    return asked if asked in THEMES else SYSTEM


@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Remember a theme and go back to the page it was chosen on."""
    asked = request.POST.get("theme", SYSTEM)
    response = redirect(_way_back(request))
    response.set_cookie(
        COOKIE,
        asked if asked in THEMES else SYSTEM,
        max_age=COOKIE_SECONDS,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )
    return response


def _way_back(request: HttpRequest) -> str:
    """The page the choice came from, never another site."""
    asked = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return asked if safe else "dashboard:overview"
