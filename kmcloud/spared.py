"""What the pages' libraries would load beside themselves and nobody here asks for. Imported before all pages.

DRF and unfold know PostgreSQL's own kinds of columns (arrays, ranges), of which no model of ours has any. For them they
load psycopg, on SQLite too, which takes longer than both of them. pygments would colour DRF's pages about an API, and
ours shows none.
"""

from __future__ import annotations

from core.optional import without

with without("django.contrib.postgres.fields", "pygments"):
    import rest_framework.compat  # noqa: F401
    import unfold.overrides  # noqa: F401
