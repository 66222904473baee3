"""Addresses of this room."""

from __future__ import annotations

from django.urls import include, path

from plugins_registry import views

urlpatterns = [
    path("", include("plugins_registry.repositories.urls")),
    path("api/plugins/authenticate", views.AuthenticateView.as_view(), name="plugins-authenticate"),
    path("api/plugins/validate", views.ValidateView.as_view(), name="plugins-validate"),
]
