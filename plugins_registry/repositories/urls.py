"""Addresses of what is published."""

from __future__ import annotations

from django.urls import path

from plugins_registry.repositories import views

urlpatterns = [
    path("api/tuf/catalog/<path:path>", views.CatalogView.as_view(), name="tuf-catalog"),
    path("api/tuf/director/<str:customer>/<path:path>", views.DirectorView.as_view(), name="tuf-director"),
    path("api/plugins/provision", views.ProvisionView.as_view(), name="plugins-provision"),
]
