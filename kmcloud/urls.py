"""Every address of the service, by room."""

from __future__ import annotations

from allauth.socialaccount.providers import registry
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

import kmcloud.spared  # noqa: F401 - first
from dashboard.login import StaffSignIn
from kmcloud import admin_health, health_views, scraping
from kmcloud.admin import hide_sign_in_tables
from kmcloud.api_pages import DocsView, SchemaView

# Here and not at start (`kmcloud.page_apps`): the processes without addresses have no pages.
admin.autodiscover()
registry.load()
hide_sign_in_tables()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="dashboard:overview")),
    path("", include("customers.urls")),
    path("", include("plugins_registry.urls")),
    path("", include("plugins_registry.review_urls")),
    path("", include("events.urls")),
    path("app/", include("dashboard.urls")),
    path("app/account/", include("dashboard.identity_urls")),
    path("admin/login/", StaffSignIn.as_view()),
    path("admin/health/", admin.site.admin_view(admin_health.shown), name="console_health"),
    path("admin/", admin.site.urls),
    path("livez", health_views.LiveView.as_view(), name="livez"),
    path("readyz", health_views.ReadyView.as_view(), name="readyz"),
    path("health", health_views.HealthView.as_view(), name="health"),
    path("metrics", scraping.scrape, name="metrics"),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(), name="docs"),
]

handler404 = "kmcloud.problems.not_found"
handler500 = "kmcloud.problems.server_error"
