"""A customer in whose every word there is a script, and what a page must not have made of it.

doings(page)      → ['<script> says `__xss=1`', '<a href> is `javascript:…`'], empty where words are words
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.urls import NoReverseMatch, reverse

from customers import audit
from customers.models import Customer
from events.models import QuarantinedEntry
from kmcloud.models import HealthChange
from tests.dashboard.addresses import NOBODYS, filled, pieces, routes
from tests.dashboard.elsewhere import Everything, everything_of
from tests.plugins_registry.console.world import World

DOES = "__xss"
HOSTILE = f"\"'><script>{DOES}=1</script><img src=x onerror={DOES}=1>"
FORMULA = "=cmd|' /C calc'!A0"
_ADDRESSES = {"href", "src", "action", "formaction", "data", "poster", "xlink:href"}
_RUN_BY_NAME = ("on", "x-", "@", ":", "style")  # handlers, Alpine's expressions on the console's pages, and style
LINKS = {"app/logout", "app/account/logout/", "app/settings/sessions/end"}


def hostile_customer(world: World, customer: Customer, *, at: datetime) -> Everything:
    """Everything with `HOSTILE` in it, and what only an operator sees of it."""
    Customer.objects.filter(pk=customer.pk).update(name=HOSTILE)
    customer.refresh_from_db()
    made = everything_of(customer, world, word=HOSTILE, at=at)
    audit.record(
        "customer.noted", subject=f"note:{HOSTILE}"[:80], at=at, actor=f"user:{HOSTILE}"[:80], customer=customer,
        said=HOSTILE, nested={HOSTILE: [HOSTILE]},
    )  # fmt: skip
    QuarantinedEntry.objects.create(
        customer_id=customer.pk, received_at=at, kind="events", events=3, attempts=4, retry_at=at,
        error=f"ValueError: {HOSTILE}", body=HOSTILE.encode(), quarantined_at=at,
    )  # fmt: skip
    HealthChange.objects.create(at=at, name="broker", status="degraded", detail=HOSTILE)
    return made


def app_pages(made: Everything) -> Iterator[str]:
    """Every address under /app of this customer, and the filtered lists that repeat what was asked."""
    tool = {"server": made.words["server"], "name": made.words["tool"]}
    for written, _ in routes("app/"):
        if "?P<" not in written and written not in LINKS and set(pieces(written)) <= set(NOBODYS):
            yield filled(written, made.ids)
    yield reverse("dashboard:tool", query=tool)
    yield reverse("dashboard:tool_server", query={"name": tool["server"]})
    for name in ("events", "sessions", "tools", "plugins", "audit", "export_csv"):
        said = dict.fromkeys(("server", "tool", "method", "session", "q", "actor", "action"), HOSTILE)
        yield reverse(f"dashboard:{name}", query=said)
    yield reverse("dashboard:login", query={"next": f"/app/{HOSTILE}"})
    yield reverse("dashboard:alert_rule_new", query={"kind": "errors"})
    yield "/app/" + "%22%3E%3Cscript%3E__xss=1%3C/script%3E"


def console_pages() -> Iterator[str]:
    """Every page of the console: each list, each search, and each address of the newest rows of each kind."""
    yield from ("/admin/", "/admin/health/")
    for model, registered in admin.site._registry.items():
        if model is User:
            continue
        yield reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        yield reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist", query={"q": HOSTILE})
        for row in model._default_manager.order_by("-pk")[:3]:
            names = {str(each.name) for each in registered.get_urls() if "object_id" in str(each.pattern)}
            yield from (address for name in sorted(names) if (address := _of_row(name, row)))


def _of_row(name: str, row: Model) -> str:
    try:
        return reverse(f"admin:{name}", args=[row.pk])
    except NoReverseMatch:  # one that takes more than the row
        return ""


def doings(page: str) -> list[str]:
    """What of a page is more than words."""
    reader = _Reader()
    reader.feed(page)
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._inside = tag if tag in {"script", "style"} and "json" not in given.get("type", "") else ""
        if tag == "img" and given.get("src") == "x":
            self.found.append("<img src=x>")
        for name, value in given.items():
            if name.startswith(_RUN_BY_NAME) and DOES in value:
                self.found.append(f"<{tag} {name}> is `{value[:200]}`")
            if name in _ADDRESSES and value.strip().lower().startswith(("javascript:", "vbscript:", "data:text")):
                self.found.append(f"<{tag} {name}> is `{value[:200]}`")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - its signature
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside and DOES in data:
            self.found.append(f"<{self._inside}> says `{data[:200]}`")
