"""A token of its own for each plugin a host runs.

    authorize(principal, AuthenticateRequest("api-logger", "1.0.0"), at=moment)
    → {"success": true, "token": "eyJ…", "expires_in": 900, "authorized_features": ["api_logging", …], …}

The customer is who the caller proved to be, never who the body says. What may be used is read from the rows at that
moment: a feature the plugin would like and the subscription does not include is no error, it is just not listed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from customers import tokens, usage
from customers.authentication import Principal, check_standing
from customers.entitlements import Entitlement
from customers.models import ApiKey
from customers.queries import entitlement_of
from plugins_registry.errors import CustomerMismatch
from plugins_registry.identity import identify, quoted
from plugins_registry.schemas import AuthenticateAnswer, AuthenticateRequest, RateLimits

_log = structlog.get_logger(__name__)


def authorize(principal: Principal, asked: AuthenticateRequest, *, at: datetime) -> AuthenticateAnswer:
    """A token for the plugin `asked` names. Raises `InvalidPlugin…`, `CustomerMismatch`, `Unauthenticated`."""
    plugin = identify(asked)
    _check_customer(principal, asked.customer_id or "")
    key = ApiKey.objects.select_related("customer").get(public_id=principal.key_id)
    check_standing(key, at=at)
    entitlement = entitlement_of(key.customer, at=at)
    minted = tokens.mint_plugin_token(key, entitlement, plugin=plugin.name, version=plugin.version, at=at)
    _log.info(
        "plugin_authenticated",
        customer=principal.public_id,
        key=principal.key_id,
        plugin=plugin.name,
        version=plugin.version,
        seconds=minted.expires_in,
    )
    return AuthenticateAnswer(
        success=True,
        token=minted.token,
        expires_at=at.replace(microsecond=0) + timedelta(seconds=minted.expires_in),
        expires_in=minted.expires_in,
        authorized_features=sorted(entitlement.features),
        rate_limits=_limits(entitlement, usage.events_today(principal.customer_id, at=at)),
    )


def _check_customer(principal: Principal, customer_id: str) -> None:
    if customer_id and customer_id != principal.public_id:
        raise CustomerMismatch(
            f"`customer_id` is {quoted(customer_id)}, and the key is of `{principal.public_id}`",
            "send the key of that customer, or leave `customer_id` out",
        )


def _limits(entitlement: Entitlement, used: int) -> RateLimits:
    limit = entitlement.events_per_day
    return RateLimits(limit, None if limit is None else max(limit - used, 0))
