"""The API's description, with every room's words about its addresses.

    /api/schema   OpenAPI 3.1, as YAML or JSON
    /api/docs     the same, for people
    manage.py spectacular --validate --fail-on-warn --file schema.yaml

`SPECTACULAR_SETTINGS` name this module's generator, so whoever writes the description loads this, and no other process.
"""

from __future__ import annotations

from drf_spectacular.generators import SchemaGenerator

import core.openapi  # noqa: F401 - registers what it says
import customers.openapi  # noqa: F401 - as well
import kmcloud.urls  # noqa: F401 - and with it every view: all have said what they are before they are asked
from core import described

__all__ = ["SchemaGenerator"]

described.apply()
