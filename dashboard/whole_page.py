"""A page around a message of megabytes: rendered without it, and made whole in one piece.

    filled(request, "dashboard/message.html", view, section="events")

Every template that holds another joins its parts anew: six times five megabytes, twice, were 70 ms of a page.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from dashboard.message_view import MessageView

_PLACE = SafeString(f"<!-- {secrets.token_hex(16)} -->")
"""Where the text will stand: of this process, and never sent, so that nothing on a page can be mistaken for it"""


def filled(request: HttpRequest, template: str, view: MessageView, **context: object) -> HttpResponse:
    """`template` with `view` in it, whose text it shows once, as `view.raw`."""
    page = render_to_string(template, {**context, "view": replace(view, raw=_PLACE)}, request)
    before, _, after = page.partition(_PLACE)
    return HttpResponse([before, view.raw, after])
