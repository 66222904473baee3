"""The blocklist says at once what reviewers will sign later, and names nothing private."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.clock import now
from plugins_registry.models import Block, PayloadBuild, Revision
from plugins_registry.repositories import blocklist
from plugins_registry.states import State
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded


def lines() -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = json.loads(blocklist.write(7))["blocked"]
    return written


def block(payload: PayloadBuild, **said: Any) -> None:
    """As the console blocks: a version, or all of them."""
    Block.objects.create(plugin=payload.revision.version.plugin, level="hard", reason="steals", at=now(), **said)


@pytest.mark.parametrize("whole", [False, True])
def test_a_block_of_a_version_names_its_payloads_for_those_who_have_only_a_package(
    registry: Founded, whole: bool
) -> None:
    payload = world.published(registry, "slow-tools", at=now())
    world.published(registry, "fast-tools", at=now())
    block(payload, **({} if whole else {"version": payload.revision.version}))
    (line,) = lines()
    assert (line["name"], line["state"], line["reason"]) == ("slow-tools", "blocked", "steals")
    assert (line["sha256"], line["payloads"]) == (None, [payload.payload_digest])


@pytest.mark.parametrize("state", [State.YANKED, State.QUARANTINED])
def test_what_was_taken_back_is_listed_before_reviewers_sign_again(registry: Founded, state: State) -> None:
    payload = world.published(registry, "slow-tools", at=now())
    assert not lines()
    Revision.objects.filter(pk=payload.revision_id).update(state=state)
    said = {(line["name"], line["version"], line["level"], line["state"]) for line in lines()}
    assert said == {("slow-tools", "1.0.0", "hard", "yanked")}


def test_a_private_plugin_is_listed_by_its_digests_alone(registry: Founded) -> None:
    acme, _ = world.customer("Acme", "enterprise", at=now())
    payload = world.published(registry, "secret-tools", owner=acme, private=True, at=now())
    block(payload)
    assert lines() == [
        {
            "name": "",
            "version": None,
            "sha256": payload.payload_digest,
            "level": "hard",
            "reason": "",
            "state": "blocked",
        }
    ]
