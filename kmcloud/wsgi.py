"""The WSGI application granian serves.

A response that is whole goes out as a list of one part: granian then sends it with its length in one piece, where an
iterator would be streamed in chunks, at twice the cost.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kmcloud.settings")

gc.disable()
_django = get_wsgi_application()
import_module(settings.ROOT_URLCONF)  # with all pages, before the first request rather than by it
gc.collect()
gc.freeze()  # what is loaded now stays: a collection in the middle of a page need not look at all of it again
gc.enable()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer one request."""
    response: Iterable[bytes] = _django(environ, start_response)
    if not isinstance(response, HttpResponse):
        return response  # streamed, or a file
    parts = [response.content]
    response.close()  # ends the request for Django: nothing of it is needed to send the bytes
    return parts
