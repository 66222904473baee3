"""Who may call a plugin what. Official names belong to whoever runs the service.

A name on a customer's laptop must mean one plugin: no private plugin is called like a public one that exists, and none
of either is called like ours. That a private plugin has a name is never told to anyone else.
"""

from __future__ import annotations

from django.conf import settings

from customers.errors import FeatureNotAvailable
from customers.models import Customer
from plugins_registry.errors import InvalidVisibility, NameReserved, NameTaken
from plugins_registry.models import Plugin

PRIVATE_FEATURE = "private_registry"
RESERVED_PREFIXES = ("km-", "kilometers-", "official-")
RESERVED_NAMES = frozenset(
    {"km", "kilometers", "official", "catalog", "director", "blocklist", "console-logger", "api-logger", "tool-stats"}
)
_CHOOSE = "choose another name in the manifest"


def plugin_for(owner: Customer, name: str, visibility: str, *, private: bool) -> Plugin:
    """The owner's plugin `name`, made if it is new. `visibility` is empty for what it is, or public when it is new.

    `private`: the owner may have private ones now. Raises `NameReserved`, `NameTaken`, `InvalidVisibility`,
    `FeatureNotAvailable`.
    """
    _check_reserved(owner, name)
    own = Plugin.objects.filter(owner=owner, name=name).first()
    if own is not None:
        if visibility and visibility != own.visibility:
            raise InvalidVisibility(
                f"`{name}` is {own.visibility}, and stays so",
                f"leave out `visibility`, or {_CHOOSE} for a {visibility} one",
            )
        _check_private(own.visibility, private)
        return own
    if Plugin.objects.filter(name=name, visibility=Plugin.Visibility.PUBLIC).exists():
        raise NameTaken(f"there is a plugin `{name}` of another organisation", _CHOOSE)
    _check_private(visibility, private)
    return Plugin.objects.create(owner=owner, name=name, visibility=visibility or Plugin.Visibility.PUBLIC)


def _check_private(visibility: str, private: bool) -> None:
    if visibility == Plugin.Visibility.PRIVATE and not private:
        raise FeatureNotAvailable(
            f"`{PRIVATE_FEATURE}` is not among what your organisation may use now",
            "private plugins are part of the Enterprise tier; `visibility=public` needs none",
        )


def _check_reserved(owner: Customer, name: str) -> None:
    reserved = name in RESERVED_NAMES or name.startswith(RESERVED_PREFIXES)
    if reserved and owner.public_id != settings.OFFICIAL_PUBLISHER:
        raise NameReserved(f"`{name}` is kept for official plugins", _CHOOSE)
