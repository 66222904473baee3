"""The addresses under `/app/`. What ends in `/live`, `/opened` or `/whole` is a part of a page, asked for by htmx."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path, register_converter

from dashboard import submissions, theme, views
from dashboard.login import SignIn
from dashboard.session_ids import SessionIdConverter

register_converter(SessionIdConverter, "session_id")

app_name = "dashboard"

SESSION = "sessions/<session_id:session_id>"
SUBMISSION = "plugins/submissions/<str:public_id>"

urlpatterns = [
    path("", views.sessions, name="sessions"),
    path("live", views.sessions_live, name="sessions_live"),
    path(SESSION, views.session, name="session"),
    path(f"{SESSION}/live", views.session_live, name="session_live"),
    path(f"{SESSION}/more", views.session_more, name="session_more"),
    path(f"{SESSION}/exchanges/<uuid:event_id>", views.exchange, name="exchange"),
    path(f"{SESSION}/exchanges/<uuid:event_id>/opened", views.exchange_opened, name="exchange_opened"),
    path(f"{SESSION}/messages/<uuid:event_id>", views.message, name="message"),
    path(f"{SESSION}/messages/<uuid:event_id>/whole", views.message_whole, name="message_whole"),
    path(f"{SESSION}/messages/<uuid:event_id>/download", views.download, name="download"),
    path("plugins/submissions", submissions.listed, name="submissions"),
    path(SUBMISSION, submissions.shown, name="submission"),
    path(f"{SUBMISSION}/withdraw", submissions.withdraw, name="submission_withdraw"),
    path(f"{SUBMISSION}/appeal", submissions.appeal, name="submission_appeal"),
    path("account", views.account, name="account"),
    path("login", SignIn.as_view(), name="login"),
    path("logout", LogoutView.as_view(next_page="dashboard:login"), name="logout"),
    path("theme", theme.choose, name="theme"),
]
