"""The addresses under `/app/settings/`, in the room's own namespace."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from dashboard.settings_pages import audit, keys, people, redaction, security, usage

urlpatterns = [
    path("settings", RedirectView.as_view(pattern_name="dashboard:security"), name="settings"),
    path("settings/security", security.security, name="security"),
    path("settings/sessions/end", security.end_sessions, name="sessions_end"),
    path("settings/sessions/<int:session_id>/end", security.end_session, name="session_end"),
    path("settings/organisation", security.choose, name="choose_customer"),
    path("settings/members", people.listed, name="members"),
    path("settings/members/invite", people.invite, name="member_invite"),
    path("settings/members/leave", people.leave, name="member_leave"),
    path("settings/members/<int:member_id>/role", people.change_role, name="member_role"),
    path("settings/members/<int:member_id>/remove", people.remove, name="member_remove"),
    path("settings/invitations/<str:public_id>/resend", people.resend, name="invitation_resend"),
    path("settings/invitations/<str:public_id>/revoke", people.revoke, name="invitation_revoke"),
    path("settings/keys", keys.listed, name="keys"),
    path("settings/keys/issue", keys.issue, name="key_issue"),
    path("settings/keys/<str:key_id>/rotate", keys.rotate, name="key_rotate"),
    path("settings/keys/<str:key_id>/revoke", keys.revoke, name="key_revoke"),
    path("settings/redaction", redaction.shown, name="redaction"),
    path("settings/usage", usage.shown, name="usage"),
    path("settings/audit", audit.listed, name="audit"),
    path("settings/audit/export", audit.export, name="audit_export"),
]
