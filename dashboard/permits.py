"""Which permission each address under `/app/` needs, by the name of its route: the one table.

    needed("key_revoke", acts=True)       → Permission.MANAGE_KEYS
    needed("sessions", acts=False)        → Permission.READ

A page that only reads and is not listed is open to every member. An act that is not listed is refused to everybody:
whoever adds one says here who may do it.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured

from customers.permissions import Permission

NEEDS: Mapping[str, Permission] = {
    "submission_withdraw": Permission.WORK,
    "submission_appeal": Permission.WORK,
    "member_invite": Permission.MANAGE_MEMBERS,
    "member_role": Permission.MANAGE_MEMBERS,
    "member_remove": Permission.MANAGE_MEMBERS,
    "member_leave": Permission.READ,
    "invitation_resend": Permission.MANAGE_MEMBERS,
    "invitation_revoke": Permission.MANAGE_MEMBERS,
    "key_issue": Permission.MANAGE_KEYS,
    "key_rotate": Permission.MANAGE_KEYS,
    "key_revoke": Permission.MANAGE_KEYS,
    "device_decide": Permission.WORK,
    "machine_remove": Permission.MANAGE_KEYS,
    "incident_acknowledge": Permission.WORK,
    "alert_rule_mute": Permission.WORK,
    "alert_rule": Permission.MANAGE_SETTINGS,
    "alert_rule_new": Permission.MANAGE_SETTINGS,
    "alert_rule_preview": Permission.MANAGE_SETTINGS,
    "alert_rule_add": Permission.MANAGE_SETTINGS,
    "alert_rule_change": Permission.MANAGE_SETTINGS,
    "alert_rule_switch": Permission.MANAGE_SETTINGS,
    "alert_rule_delete": Permission.MANAGE_SETTINGS,
    "alert_destinations": Permission.MANAGE_SETTINGS,
    "alert_email_add": Permission.MANAGE_SETTINGS,
    "alert_webhook_add": Permission.MANAGE_SETTINGS,
    "alert_webhook_rotate": Permission.MANAGE_SETTINGS,
    "alert_destination_switch": Permission.MANAGE_SETTINGS,
    "alert_destination_test": Permission.MANAGE_SETTINGS,
    "alert_destination_delete": Permission.MANAGE_SETTINGS,
    "alert_messages": Permission.MANAGE_SETTINGS,
    "alert_message": Permission.MANAGE_SETTINGS,
    "alert_message_again": Permission.MANAGE_SETTINGS,
    "tool_change_accept": Permission.WORK,
    "tool_changes_accept": Permission.WORK,
    "audit": Permission.READ_AUDIT,
    "audit_export": Permission.READ_AUDIT,
}


def needed(route: str, *, acts: bool) -> Permission:
    """The permission that `route` needs. Raises `ImproperlyConfigured` for an act nobody listed."""
    permission = NEEDS.get(route, None if acts else Permission.READ)
    if permission is None:
        raise ImproperlyConfigured(f"who may do `{route}`? Add it to NEEDS in dashboard/permits.py")
    return permission
