"""The addresses of this room."""

from __future__ import annotations

from django.urls import path

from events import views

urlpatterns = [
    path("api/events", views.EventsView.as_view(), name="events"),
    path("api/events/batch", views.BatchView.as_view(), name="events-batch"),
    path("api/events/telemetry", views.TelemetryView.as_view(), name="events-telemetry"),
    path("api/activity", views.ActivityView.as_view(), name="activity"),
    path("api/stats", views.StatsView.as_view(), name="stats"),
]
