"""What the database sums, narrows and ranks for a page, on both real databases: as Python would."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command

from core.clock import now
from customers import accounts
from customers.models import Customer
from dashboard import tools_filter, tools_list
from events import overview_queries
from events.overview_queries import RANGES
from tests.dashboard.test_tools_page import a_tool, lists
from tests.dashboard.traffic import GIT, Talk
from tests.events.databases import KINDS, real_database


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), real_database(request.param):
        yield


@pytest.fixture
def customer(database: None) -> Customer:
    call_command("flush", verbosity=0, interactive=False)
    return accounts.create_customer("Acme", "enterprise", at=now())


@pytest.fixture
def talk() -> Talk:
    return Talk("s-1", started_at=now() - timedelta(minutes=5))


def test_a_search_folds_letters_of_every_script_and_takes_no_sign_for_a_pattern(customer: Customer, talk: Talk) -> None:
    lists(talk, a_tool("Straße"), a_tool("KELVIN"), a_tool("log_1"), a_tool("logs1"))
    talk.answer(talk.request("tools/call", tool="ŻÓŁW"))
    talk.answer(talk.request("tools/call", tool="\u212aelvin sign"))
    talk.store(customer)
    for letters, found in {
        "STRASSE": ["Straße"],
        "żółw": ["ŻÓŁW"],
        "kelvin": ["KELVIN", "\u212aelvin sign"],
        "G_1": ["log_1"],
        "%": [],
    }.items():
        table = _table(customer, sort="name", q=letters)
        assert [line.name for line in table.lines] == found, letters
        assert table.total == len(found)


def test_tools_are_ranked_by_each_figure_and_equal_ones_by_name(customer: Customer, talk: Talk) -> None:
    lists(talk, a_tool("idle"), a_tool("Idle"))
    for tool, calls, failed, took in (("a", 4, 1, 10), ("b", 2, 1, 900), ("c", 3, 3, 50), ("d", 4, 1, 10)):
        for number in range(calls):
            talk.answer(talk.request("tools/call", tool=tool), after_ms=took, is_error=number < failed)
    talk.store(customer)
    for sort, order in {
        "calls": "a d c b Idle idle",
        "name": "Idle a b c d idle",
        "errors": "c a b d Idle idle",
        "rate": "c b a d Idle idle",
        "slow": "b c a d Idle idle",
        "changed": "Idle a b c d idle",
    }.items():
        assert [line.name for line in _table(customer, sort=sort).lines] == order.split(), sort


@pytest.mark.parametrize("name", RANGES)
def test_an_overviews_lists_are_ordered_as_names_are_by_python(name: str, customer: Customer) -> None:
    for number, server in enumerate(("b", "B", "é", "a", "z", "c")):
        talk = Talk(f"s-{number}", started_at=now() - timedelta(minutes=5 + number), server={**GIT, "name": server})
        for tool in ("y", "X"):
            talk.answer(talk.request("tools/call", tool=tool), after_ms=20, is_error=True)
        talk.store(customer)
    shown = overview_queries.overview(customer.pk, RANGES[name], at=now())
    keys = [(server, tool) for server in "Babcz" for tool in "Xy"]
    assert [(row.server, row.tool) for row in shown.failing] == keys[:5]
    assert [(row.server, row.tool) for row in shown.slowest] == keys[:5]
    assert [row.server for row in shown.busiest] == list("Babcz")
    assert [(row.events, row.errors) for row in shown.failing] == [(2, 1)] * 5
    assert shown.figures.servers == 6
    assert {row.p95_ms for row in (*shown.slowest, *shown.failing, *shown.busiest)} == {shown.figures.p95_ms}


def _table(customer: Customer, **sent: str) -> tools_list.Listing:
    return tools_list.read(customer.pk, tools_filter.of(sent), at=now())
