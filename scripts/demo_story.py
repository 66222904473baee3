"""When the pictures' story is told, and who tells it: what the service and the browser that looks at it agree on."""

from __future__ import annotations

from datetime import UTC, datetime

MOMENT = datetime(2026, 11, 18, 15, 24, tzinfo=UTC)  # a Wednesday
OWNER, STAFF = "ann@acme.example", "ops@kilometers.example"
PASSWORD = "correct horse battery staple"
