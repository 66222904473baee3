"""The addresses under `/app/`. What begins with `live/` or ends in `/live`, `/opened` or `/whole`
is a part of a page, asked for by htmx."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from dashboard import (
    components,
    device_page,
    events_page,
    joining,
    machines_page,
    overview_page,
    plugins_page,
    submissions,
    theme,
    tools,
    views,
)
from dashboard.login import SignIn
from dashboard.session_ids import SessionIdConverter

register_converter(SessionIdConverter, "session_id")

app_name = "dashboard"

SESSION = "sessions/<session_id:session_id>"
PLUGIN = "plugins/catalog/<str:plugin_id>"
SUBMISSION = "plugins/submissions/<str:public_id>"

urlpatterns = [
    path("", overview_page.overview, name="overview"),
    path("first-event", overview_page.first_event, name="first_event"),
    path("events", events_page.events, name="events"),
    path("live/events", events_page.events_live, name="events_live"),
    path("events/export.csv", events_page.export, {"form": "csv"}, name="export_csv"),
    path("events/export.jsonl", events_page.export, {"form": "jsonl"}, name="export_jsonl"),
    path("events/<uuid:event_id>", events_page.event, name="event"),
    path("events/<uuid:event_id>/opened", events_page.event_opened, name="event_opened"),
    path("sessions", views.sessions, name="sessions"),
    path("live/sessions", views.sessions_live, name="sessions_live"),
    path(SESSION, views.session, name="session"),
    path(f"{SESSION}/live", views.session_live, name="session_live"),
    path(f"{SESSION}/more", views.session_more, name="session_more"),
    path(f"{SESSION}/replay.jsonl", views.replay, {"form": "jsonl"}, name="replay_jsonl"),
    path(f"{SESSION}/replay.txt", views.replay, {"form": "txt"}, name="replay_txt"),
    path(f"{SESSION}/exchanges/<uuid:event_id>", views.exchange, name="exchange"),
    path(f"{SESSION}/exchanges/<uuid:event_id>/opened", views.exchange_opened, name="exchange_opened"),
    path(f"{SESSION}/messages/<uuid:event_id>", views.message, name="message"),
    path(f"{SESSION}/messages/<uuid:event_id>/whole", views.message_whole, name="message_whole"),
    path(f"{SESSION}/messages/<uuid:event_id>/download", views.download, name="download"),
    path("plugins", plugins_page.plugins, name="plugins"),
    path(PLUGIN, plugins_page.plugin, name="plugin"),
    path(f"{PLUGIN}/<str:revision_id>", plugins_page.version, name="plugin_version"),
    path("settings/machines", machines_page.listed, name="machines"),
    path("settings/machines/<str:machine_id>", machines_page.shown, name="machine"),
    path("settings/machines/<str:machine_id>/remove", machines_page.remove, name="machine_remove"),
    path("device", device_page.device, name="device"),
    path("device/decide", device_page.decide, name="device_decide"),
    path("plugins/submissions", submissions.listed, name="submissions"),
    path(SUBMISSION, submissions.shown, name="submission"),
    path(f"{SUBMISSION}/withdraw", submissions.withdraw, name="submission_withdraw"),
    path(f"{SUBMISSION}/appeal", submissions.appeal, name="submission_appeal"),
    path("", include("dashboard.alerts_urls")),
    path("tools", tools.index, name="tools"),
    path("tools/server", tools.server, name="tool_server"),
    path("tools/tool", tools.tool, name="tool"),
    path("tools/definitions/<int:definition_id>.json", tools.definition, name="tool_definition"),
    path("tools/changes/<int:change_id>/accept", tools.accept, name="tool_change_accept"),
    path("tools/server/accept", tools.accept_all, name="tool_changes_accept"),
    path("components", components.components, name="components"),
    path("account", RedirectView.as_view(pattern_name="dashboard:usage"), name="account"),  # where usage was once
    path("join", joining.join, name="join"),
    path("join/<str:token>", joining.followed, name="join_followed"),
    path("sign-up", joining.sign_up, name="sign_up"),
    path("", include("dashboard.settings_pages.urls")),
    path("login", SignIn.as_view(), name="login"),
    path("logout", LogoutView.as_view(next_page="dashboard:login"), name="logout"),
    path("theme", theme.choose, name="theme"),
]
