"""Every address of the service, by room."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from kmcloud import health, scraping

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="dashboard:sessions")),
    path("", include("customers.urls")),
    path("", include("plugins_registry.urls")),
    path("", include("plugins_registry.review_urls")),
    path("", include("events.urls")),
    path("app/", include("dashboard.urls")),
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
