"""What the acts of the settings pages share: do it, say how it went, and go back to the page the form was on.

    return acted(request, "dashboard:members", lambda: members.leave(…), "You left.")

What cannot be done as asked is told over the form; what may not be done is a page of its own (`dashboard.boundary`).
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from core.errors import ApiError

_TOLD = {400, 409, 503}


def acted(request: HttpRequest, back: str, act: Callable[[], object], done: str) -> HttpResponse:
    """Do `act` and go `back`, a route's name. Raises what is not for the form's sender to mend."""
    try:
        act()
    except ApiError as error:
        told(request, error)
    else:
        messages.success(request, done)
    return redirect(back)


def told(request: HttpRequest, error: ApiError) -> None:
    """Have the next page say what was wrong. Raises `error` where its sender cannot mend it."""
    if error.status not in _TOLD:
        raise error
    messages.error(request, f"{error.message}. {error.hint}".rstrip(". ") + ".")
