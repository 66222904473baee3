"""What every page needs: the chosen theme, icons, the navigation, and whose pages one may look at.

<html data-theme="{% theme %}">      {% icon "search" %}
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from customers.models import Member
from dashboard.navigation import Place, places
from dashboard.theme import chosen

register = template.Library()


@register.simple_tag(takes_context=True)
def theme(context: dict[str, Any]) -> str:
    """`light`, `dark` or `system`: what this browser was asked to show."""
    return chosen(context["request"])


@register.simple_tag
@cache
def icon(name: str, size: int = 16) -> SafeString:
    """A drawing of `icons.svg`, in the ink of its surroundings; the words beside it carry the meaning."""
    return format_html(
        '<svg width="{size}" height="{size}" aria-hidden="true"><use href="{sprite}#{name}"/></svg>',
        size=size,
        sprite=static("dashboard/icons.svg"),
        name=name,
    )


@register.simple_tag
def navigation() -> tuple[Place, ...]:
    """Where one can go, for the bar and for the help."""
    return places()


@register.simple_tag(takes_context=True)
def organisations(context: dict[str, Any]) -> list[Member]:
    """Those of whoever is signed in, as the gate found them: a page about a failed database asks for nothing more."""
    found: list[Member] = getattr(context["request"], "memberships", [])
    return found
