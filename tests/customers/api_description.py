"""The API's description of one room, made as `manage.py spectacular` makes it: an error or a warning fails the test."""

from __future__ import annotations

from io import StringIO
from types import ModuleType
from typing import Any

import yaml
from django.core.management import call_command


def describe(urls: ModuleType) -> dict[str, Any]:
    """The OpenAPI document of the addresses in `urls`."""
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", urlconf=urls, stdout=out)
    answer: dict[str, Any] = yaml.safe_load(out.getvalue())
    return answer
