"""Every address of the service, by room."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="dashboard:sessions")),
    path("", include("customers.urls")),
    path("", include("events.urls")),
    path("app/", include("dashboard.urls")),
    path("admin/", admin.site.urls),
]
