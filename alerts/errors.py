"""What goes wrong in this room, with its status and code."""

from __future__ import annotations

from core.errors import ApiError, NotFound


class UnknownRule(NotFound):
    code = "unknown_alert_rule"


class UnknownIncident(NotFound):
    code = "unknown_incident"


class UnknownDestination(NotFound):
    code = "unknown_destination"


class UnknownDelivery(NotFound):
    code = "unknown_delivery"


class TooMany(ApiError):
    """There is room for no more of them."""

    status, code = 409, "too_many"


class NotPossible(ApiError):
    """Not as things stand now."""

    status, code = 409, "not_possible"
