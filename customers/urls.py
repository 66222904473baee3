"""Addresses of this room."""

from __future__ import annotations

from django.urls import path

from customers import device_views, machine_views, oauth_views, views

urlpatterns = [
    path(".well-known/jwks.json", views.KeySetView.as_view(), name="jwks"),
    path("api/auth/exchange", views.ExchangeView.as_view(), name="exchange"),
    path("api/auth/device-code/start", device_views.StartView.as_view(), name="device-code-start"),
    path("api/auth/device-code/poll", device_views.PollView.as_view(), name="device-code-poll"),
    path("api/auth/logout", device_views.LogoutView.as_view(), name="logout"),
    path("oauth/device_authorization", oauth_views.DeviceAuthorizationView.as_view(), name="device-authorization"),
    path("oauth/token", oauth_views.TokenView.as_view(), name="device-token"),
    path(
        ".well-known/oauth-authorization-server", oauth_views.MetadataView.as_view(), name="oauth-authorization-server"
    ),
    path("api/customer", views.CustomerView.as_view(), name="customer"),
    path("api/subscription/status", views.StatusView.as_view(), name="subscription-status"),
    path("api/machines", machine_views.ReportView.as_view(), name="machines-report"),
    path("api/keys", views.KeysView.as_view(), name="keys"),
    path("api/keys/report-leak", views.LeakView.as_view(), name="report-leak"),
    path("api/keys/<str:key_id>", views.KeyView.as_view(), name="key"),
    path("api/keys/<str:key_id>/rotate", views.RotateView.as_view(), name="rotate-key"),
]
