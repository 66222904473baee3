"""Every address of the service, by room."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from dashboard.login import StaffSignIn
from kmcloud import admin_health, health, scraping
from kmcloud.admin import hide_sign_in_tables

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
    path("livez", health.LiveView.as_view(), name="livez"),
    path("readyz", health.ReadyView.as_view(), name="readyz"),
    path("health", health.HealthView.as_view(), name="health"),
    path("metrics", scraping.scrape, name="metrics"),
    path("api/schema", SpectacularAPIView.as_view(authentication_classes=(), permission_classes=()), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(
            authentication_classes=(), permission_classes=(), template_name="kmcloud/api_docs.html"
        ),
        name="docs",
    ),
]

handler404 = "kmcloud.problems.not_found"
handler500 = "kmcloud.problems.server_error"
