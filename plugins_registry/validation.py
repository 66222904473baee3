"""Whether a plugin's token still holds, asked by whoever runs the plugin.

    validate(principal, ValidateRequest("api-logger", "eyJ…"), at=moment)
    → {"valid": false, "reason": "wrong_plugin", "subscription_active": true, "features_active": [], …}

A bad token is an answer, not an error. Everything is read from the rows at that moment, so a revocation or a downgrade
shows here at once. No answer and no log line holds any of the token.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import structlog

from core.errors import Unauthenticated
from customers import errors, leases, tokens
from customers.authentication import Principal, check_standing, key_behind
from customers.models import Customer
from customers.queries import entitlement_of
from plugins_registry.identity import checked_name
from plugins_registry.schemas import ValidateAnswer, ValidateRequest

REASONS: dict[type[Unauthenticated], str] = {
    errors.WrongAlgorithm: "wrong_algorithm",
    errors.WrongType: "wrong_type",
    errors.UnknownSigningKey: "unknown_key",
    errors.BadSignature: "bad_signature",
    errors.WrongPlugin: "wrong_plugin",
    errors.WrongCustomer: "wrong_customer",
    errors.NotYetValid: "not_yet_valid",
    errors.TokenInvalid: "malformed",
    errors.TokenExpired: "expired",
    errors.ExpiredApiKey: "expired",
    errors.TokenRevoked: "revoked",
    errors.RevokedApiKey: "revoked",
    errors.CustomerSuspended: "suspended",
}
"""What an answer calls each cause. An error that is not here is looked up as what it is a kind of."""

ENDED = frozenset({"expired", "revoked", "suspended"})
"""How a token that was good ends: no failure of whoever asks."""

_log = structlog.get_logger(__name__)


class _Finding(NamedTuple):
    """What a token turned out to be. `version` is the plugin's, once the signature proved it."""

    reason: str | None
    features: frozenset[str] = frozenset()
    version: str = ""


def validate(principal: Principal, asked: ValidateRequest, *, at: datetime) -> ValidateAnswer:
    """What holds of the token at `at`. Raises `InvalidPluginName`."""
    plugin = checked_name(asked.plugin_name)
    customer = Customer.objects.get(pk=principal.customer_id)
    entitlement = entitlement_of(customer, at=at)
    found = _examine(asked.plugin_token, plugin, principal.public_id, at)
    _log.info(
        "plugin_validated",
        customer=principal.public_id,
        key=principal.key_id,
        plugin=plugin,
        version=found.version,
        reason=found.reason,
    )
    return ValidateAnswer(
        valid=found.reason is None,
        reason=found.reason,
        customer_id=customer.public_id,
        subscription_active=entitlement.active,
        features_active=sorted(entitlement.features & found.features),
        next_refresh=leases.next_refresh(at),
    )


def _examine(token: str, plugin: str, customer_id: str, at: datetime) -> _Finding:
    try:
        claims = tokens.verify_plugin_token(token, plugin=plugin, customer_id=customer_id, at=at)
        check_standing(key_behind(claims), at=at)
    except Unauthenticated as error:
        return _Finding(_reason(error))
    return _Finding(None, frozenset(claims.features), claims.plugin_version)


def _reason(error: Unauthenticated) -> str:
    return next(REASONS[kind] for kind in type(error).__mro__ if kind in REASONS)
