"""Settings that cannot work together, refused at start, each with an id and the next step.

What would lose data or let strangers in is an error always; what a laptop may do and a production server may not is an
error once `KM_PRODUCTION=true`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register

from customers.permissions import ROLES
from kmcloud import mail
from kmcloud.roles import role_called

_GO_PLATFORMS = {"linux-amd64", "linux-arm64"}
_LOCAL_HOSTS = {"127.0.0.1", "localhost", "[::1]"}


@register(Tags.security)
def production_settings(**_: Any) -> list[CheckMessage]:
    """What `KM_PRODUCTION=true` requires."""
    return list(_production()) if settings.PRODUCTION else []


@register(Tags.security)  # not Tags.database: those are left out unless a database is named
def sqlite_is_durable(**_: Any) -> list[CheckMessage]:
    """An acknowledged event has been synced to disk: SQLite must not be asked to cut that corner."""
    database = settings.DATABASES["default"]
    if database["ENGINE"] != "django.db.backends.sqlite3":
        return []
    options = database.get("OPTIONS", {})
    if "synchronous=FULL" in options.get("init_command", "") and options.get("transaction_mode") == "IMMEDIATE":
        return []
    return [
        Error(
            "SQLite must run with `synchronous=FULL` and IMMEDIATE transactions, or acknowledged events can be lost.",
            hint="Leave `OPTIONS` of the database as kmcloud/settings.py sets them.",
            id="kmcloud.E006",
        )
    ]


@register(Tags.security)
def strangers_cannot_pose_as_the_proxy(**_: Any) -> list[CheckMessage]:
    """Trusting a proxy's headers without https in front means trusting whoever connects."""
    if not settings.TRUST_PROXY or settings.PUBLIC_URL.startswith("https://"):
        return []
    return [
        checks.Warning(
            "KM_TRUST_PROXY is on, but KM_PUBLIC_URL is not https: is there a proxy in front at all?",
            hint="Without one, anyone can forge the address that limits failed attempts. Turn it off.",
            id="kmcloud.W001",
        )
    ]


@register(Tags.security)
def go_platforms_are_known(**_: Any) -> list[CheckMessage]:
    """A revision whose platforms cannot be built would wait for its builds for ever."""
    asked = list(settings.GO_PLATFORMS)
    if asked and set(asked) <= _GO_PLATFORMS and len(asked) == len(set(asked)):
        return []
    return [
        Error(
            f"KM_GO_PLATFORMS is `{','.join(asked)}`, for which no Go plugin can be built.",
            hint=f"Set it to {' or '.join(sorted(_GO_PLATFORMS))}, or to both with a comma between them.",
            id="kmcloud.E007",
        )
    ]


@register(Tags.security)
def sign_in_is_no_open_door(**_: Any) -> list[CheckMessage]:
    """Who may come in must be somebody's decision, and one that can be carried out."""
    return list(_sign_in())


def _sign_in() -> Iterator[CheckMessage]:
    if settings.SIGN_UP not in {"invitation", "open"}:
        yield Error(
            f"KM_SIGN_UP is `{settings.SIGN_UP}`.", hint="Set it to `invitation` or to `open`.", id="kmcloud.E008"
        )
    serves = "KM_OIDC_CLIENT_SECRET" in role_called(settings.ROLE).secrets
    if settings.OIDC_ISSUER and serves and not (settings.OIDC_CLIENT_ID and settings.OIDC_CLIENT_SECRET):
        yield Error(
            "KM_OIDC_ISSUER needs a client.",
            hint="Set KM_OIDC_CLIENT_ID and KM_OIDC_CLIENT_SECRET as the issuer gave them.",
            id="kmcloud.E009",
        )
    if settings.OIDC_CUSTOMER and not settings.OIDC_DOMAINS:
        yield Error(
            "KM_OIDC_CUSTOMER without KM_OIDC_DOMAINS would let in whoever has an account with the issuer.",
            hint="Set KM_OIDC_DOMAINS to your organisation's e-mail domains.",
            id="kmcloud.E010",
        )
    if settings.OIDC_ROLE not in ROLES:
        yield Error(
            f"KM_OIDC_ROLE is `{settings.OIDC_ROLE}`.", hint=f"The roles are {', '.join(ROLES)}.", id="kmcloud.E011"
        )


@register(Tags.security)
def letters_can_be_sent(**_: Any) -> list[CheckMessage]:
    """Where letters go is said once, and is an address."""
    why = mail.problem(settings.EMAIL_URL) if settings.EMAIL_URL else ""
    if settings.EMAIL_URL and settings.EMAIL_BACKEND != mail.SMTP:
        why = "KM_EMAIL_BACKEND sends letters another way"
    if not why:
        return []
    hint = "Set one of the two, KM_EMAIL_URL as smtp+tls://user:password@host:587."
    return [Error(f"KM_EMAIL_URL cannot be used: {why}.", hint=hint, id="kmcloud.E012")]


def _production() -> Iterator[CheckMessage]:
    if settings.DATABASES["default"]["ENGINE"] != "core.postgresql":
        yield Error("Production needs PostgreSQL.", hint="Set KM_DATABASE_URL=postgres://…", id="kmcloud.E001")
    if not settings.REDIS_URL:
        yield Error("Production needs Redis.", hint="Set KM_REDIS_URL=redis://…", id="kmcloud.E002")
    if not settings.PUBLIC_URL.startswith("https://"):
        yield Error(
            f"KM_PUBLIC_URL is {settings.PUBLIC_URL}: keys would cross the network in the clear.",
            hint="Set it to the https:// address people use.",
            id="kmcloud.E003",
        )
    if settings.DEBUG:
        yield Error("KM_DEBUG shows settings to strangers.", hint="Remove KM_DEBUG.", id="kmcloud.E004")
    hosts = set(settings.ALLOWED_HOSTS)
    if "*" in hosts or not hosts - _LOCAL_HOSTS:
        yield Error(
            "KM_ALLOWED_HOSTS does not name the hosts this service answers for.",
            hint="Set it to the host of KM_PUBLIC_URL.",
            id="kmcloud.E005",
        )
