"""gzip for pages and for their style and scripts: a first visit is a third of the bytes.

Nothing else is compressed here: the API has rules of its own, and a file that is streamed stays one. Nor is what is
larger than `MOST_BYTES`: a message of 5 MB on a page would take a fifth of a second of this server's CPU.

Secrets on a page are safe from BREACH as Django does it: its tokens differ on every answer, and so does the length.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

MOST_BYTES = 512 * 1024  # 20 ms; no page is a third of it but one that shows a whole huge message
_PAGES = "/app/"  # where kmcloud.urls puts them
_TAG = "HTTP_IF_NONE_MATCH"


class CompressionMiddleware(GZipMiddleware):
    """Above WhiteNoise, whose tags it makes weak, and takes back for what they were."""

    def process_request(self, request: HttpRequest) -> None:
        """Let a file that did not change be answered with 304."""
        if _TAG in request.META and request.path_info.startswith(settings.STATIC_URL):
            request.META[_TAG] = request.META[_TAG].removeprefix("W/")

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """As Django's, for what is ours."""
        is_page = request.path_info.startswith(_PAGES) and not response.streaming
        if is_page and isinstance(response, HttpResponse) and len(response.content) > MOST_BYTES:
            return response
        if is_page or request.path_info.startswith(settings.STATIC_URL):
            compressed: HttpResponseBase = super().process_response(request, response)
            return compressed
        return response
