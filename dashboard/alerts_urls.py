"""The addresses under `/app/alerts`, in the room's own namespace."""

from __future__ import annotations

from django.urls import path

from dashboard import alerts_destinations as destinations
from dashboard import alerts_page as page
from dashboard import alerts_rules as rules

INCIDENT, RULE = "alerts/incidents/<str:public_id>", "alerts/rules/<str:public_id>"
DESTINATION, MESSAGE = "alerts/destinations/<str:public_id>", "alerts/messages/<str:public_id>"

urlpatterns = [
    path("alerts", page.alerts, name="alerts"),
    path("alerts/incidents", page.past, name="incidents"),
    path(INCIDENT, page.incident, name="incident"),
    path(f"{INCIDENT}/acknowledge", page.acknowledge, name="incident_acknowledge"),
    path("alerts/rules/new", rules.new, name="alert_rule_new"),
    path("alerts/rules/preview", rules.try_out, name="alert_rule_preview"),
    path("alerts/rules/add", rules.add, name="alert_rule_add"),
    path(RULE, rules.shown, name="alert_rule"),
    path(f"{RULE}/change", rules.change, name="alert_rule_change"),
    path(f"{RULE}/switch", rules.switch, name="alert_rule_switch"),
    path(f"{RULE}/mute", rules.mute, name="alert_rule_mute"),
    path(f"{RULE}/delete", rules.delete, name="alert_rule_delete"),
    path("alerts/destinations", destinations.listed, name="alert_destinations"),
    path("alerts/destinations/add-email", destinations.add_email, name="alert_email_add"),
    path("alerts/destinations/add-webhook", destinations.add_webhook, name="alert_webhook_add"),
    path(f"{DESTINATION}/rotate", destinations.rotate, name="alert_webhook_rotate"),
    path(f"{DESTINATION}/switch", destinations.switch, name="alert_destination_switch"),
    path(f"{DESTINATION}/test", destinations.test, name="alert_destination_test"),
    path(f"{DESTINATION}/delete", destinations.delete, name="alert_destination_delete"),
    path("alerts/messages", destinations.log, name="alert_messages"),
    path(MESSAGE, destinations.message, name="alert_message"),
    path(f"{MESSAGE}/again", destinations.again, name="alert_message_again"),
]
