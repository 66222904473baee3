"""A plugin's way from its author to customers' sessions, and what is tried on that way, by everybody's own programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.registry_attacks import (
    another_customers_package,
    clock_set_back,
    freeze,
    held_at,
    kept_package,
    mix_and_match,
    old_lease_after_downgrade,
    rollback,
    tampered_on_disk,
    tampered_package,
)
from tests.end_to_end.registry_customers import Customer, call
from tests.end_to_end.registry_people import Registry
from tests.end_to_end.registry_world import World, world
from tests.end_to_end.waiting import eventually
from tests.sdk.go_toolchain import HAS_GO

PYTHON, GO = "slow-tools", "deep-tools"


@pytest.mark.timeout(900)  # a Go plugin is vetted, tried and built twice from empty caches
@pytest.mark.skipif(not HAS_GO, reason="Go is not installed")
def test_plugins_travel_from_their_author_to_three_tiers_and_nothing_else_does(
    tmp_path: Path, pypi_server: dict[str, list[str]], subtests: pytest.Subtests
) -> None:
    """One story, since its beginning takes a minute: submitted, checked, reviewed, built, signed, published, run, taken
    back. The attacks are subtests, each by its name, on what is published at that moment."""
    server = pypi_server["time"]
    with world(tmp_path) as found:
        in_go = found.author.submit(found.author.project(tmp_path, GO, "go", "advanced_analytics"))
        registry = Registry(found.service, tmp_path / "people")
        in_python = found.author.submit(found.author.project(tmp_path, PYTHON, "python", "api_logging"))
        for customer in (found.free, found.pro, found.enterprise):
            customer.laptop.init(customer.account, found.middle.url)
        before = found.middle.seen(found.pro.id) | found.middle.seen("/catalog/")
        found.review(registry, in_python)
        found.publish(registry, in_python)
        attacked_while_the_other_is_checked_and_built(found, before, server, tmp_path, subtests)

        found.review(registry, in_go)
        found.publish(registry, in_go)
        each_gets_what_its_tier_has(found)
        with subtests.test("another_customers_package"):
            another_customers_package(found, PYTHON)
        leases = both_run_until_one_is_not_paid_for(found, server, subtests)
        with subtests.test("old_lease_after_downgrade"):
            old_lease_after_downgrade(found, found.enterprise, leases, server, paid=GO, free=PYTHON)
        what_is_taken_back_stops(found, registry, in_python, in_go, server)


def attacked_while_the_other_is_checked_and_built(
    found: World, before: dict[str, bytes], server: list[str], place: Path, subtests: pytest.Subtests
) -> None:
    """The Pro customer installs the plugin in Python, and uses it. `before`: the registry's view without it."""
    with subtests.test("tampered_package"):
        tampered_package(found, PYTHON)
    assert "reviewed by 2" in found.pro.does("plugins", "install", PYTHON)
    with subtests.test("rollback"):
        rollback(found, found.pro, before)
    with subtests.test("freeze"):
        freeze(found, place)
    with subtests.test("tampered_on_disk"):
        tampered_on_disk(found, PYTHON, server)
    with subtests.test("clock_set_back"):
        clock_set_back(found, place)


def each_gets_what_its_tier_has(found: World) -> None:
    for name in (PYTHON, GO):
        assert f"offers this account no `{name}`" in found.free.refuses("plugins", "install", name)
    assert f"offers this account no `{GO}`" in found.pro.refuses("plugins", "install", GO)
    found.enterprise.does("plugins", "install", PYTHON, GO)
    assert found.free.installed() == {}
    assert found.pro.installed() == {PYTHON: "ok"}
    assert found.enterprise.installed() == {PYTHON: "ok", GO: "ok"}


def both_run_until_one_is_not_paid_for(found: World, server: list[str], subtests: pytest.Subtests) -> dict[Path, bytes]:
    """The leases of before. The registry's word is held back at first: the lease alone stops what is not paid for."""
    customer = found.enterprise
    with customer.session(server) as client:
        for name in (PYTHON, GO):
            customer.until(name, "running")
        call(client)
        for name in (PYTHON, GO):
            row = customer.until(name, "running", also=lambda row: row["handled"] >= 5)
            assert (row["failed"], row["dropped"], row["attempted"]) == (0, {}, [])
        leases = {path: path.read_bytes() for path in customer.files("leases/*.json")}
        old = found.middle.seen()
        found.middle.lie = held_at(old)
        found.change_tier(customer, "pro")
        row = customer.until(GO, "not_entitled")
        assert row["missing_features"] == ["advanced_analytics"]
        call(client)
        with subtests.test("mix_and_match"):
            mix_and_match(found, customer, old)
        assert f"Does not run any more: {GO}" in customer.does("plugins", "refresh")
        with subtests.test("rollback"):
            rollback(found, customer, old)
        call(client)
        assert customer.plugin(GO)["state"] == "not_entitled"
        handled = customer.plugin(PYTHON)["handled"]
        call(client)
        customer.until(PYTHON, "running", also=lambda row: row["handled"] > handled)
    return leases


def what_is_taken_back_stops(found: World, registry: Registry, in_python: str, in_go: str, server: list[str]) -> None:
    """Paid for again, both run; then one is yanked and the other blocked, while the session goes on."""
    customer = found.enterprise
    kept = kept_package(found, customer, GO)
    found.change_tier(customer, "enterprise")
    with customer.session(server) as client:
        for name in (PYTHON, GO):
            customer.until(name, "running")
        registry.rita.yank(in_python, "it can be made to do harm")
        refreshed_until(customer, PYTHON, "yanked")
        customer.until(PYTHON, "yanked", also=lambda row: row["pid"] is None)
        call(client)
        assert "is sound" in customer.does("plugins", "verify", str(kept))
        registry.rolf.block(in_go, "it sends what it reads")
        refreshed_until(customer, GO, "blocked")
        customer.until(GO, "blocked", also=lambda row: row["pid"] is None)
        call(client)
    assert "it sends what it reads" in customer.does("plugins", "list")
    customer.refuses("plugins", "verify", str(kept), code=7)
    refreshed_until(found.pro, PYTHON, "yanked")


def refreshed_until(customer: Customer, name: str, state: str) -> None:
    """The laptop's user refreshes until the registry's word is there: a worker signs it within a second."""

    def refreshed() -> bool:
        customer.does("plugins", "refresh")
        return customer.installed()[name] == state

    eventually(refreshed, within=60, what=f"{name} is {state}")
