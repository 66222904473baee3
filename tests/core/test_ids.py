"""Public ids name nothing twice and clocks say where they are."""

from __future__ import annotations

import re
from datetime import UTC

from core import clock, ids


def test_public_ids_are_their_prefix_and_twenty_characters_a_double_click_selects() -> None:
    made = {ids.public_id("cus") for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"cus_[0-9A-Za-z]{20}", each) for each in made)


def test_now_is_aware_and_in_utc() -> None:
    assert clock.now().tzinfo is UTC
