"""Settings the export cannot work with, refused at start."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security)
def endpoint_is_an_address(**_: Any) -> list[CheckMessage]:
    """`KM_OTLP_ENDPOINT` is the address that `/v1/traces` is put behind."""
    parts = urlsplit(settings.OTLP_ENDPOINT)
    if not settings.OTLP_ENDPOINT or (parts.scheme in {"http", "https"} and parts.hostname and not parts.query):
        return []
    return [
        Error(
            f"KM_OTLP_ENDPOINT is `{settings.OTLP_ENDPOINT}`, which is no http(s) address.",
            hint="Set it to the base address of an OTLP/HTTP receiver, such as http://127.0.0.1:4318",
            id="otlp.E001",
        )
    ]
