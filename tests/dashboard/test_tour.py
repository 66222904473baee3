"""The tour in `docs/dashboard.md` is true: its table of roles, its keys, and its pictures are there."""

from __future__ import annotations

import re
from pathlib import Path

from customers.permissions import ROLES, Permission
from dashboard.navigation import places

DOCS = Path(__file__).resolve().parents[2] / "docs"
TOUR = (DOCS / "dashboard.md").read_text()


def test_the_table_of_roles_is_the_one_that_is_enforced() -> None:
    part = TOUR[TOUR.index("Who may do what:") : TOUR.index("*What the team works with*")]
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line[:1] == "|"]
    assert head[1:] == list(ROLES)
    told = {words: [cell == "yes" for cell in cells] for words, *cells in rows}
    assert told == {each.value: [each in may for may in ROLES.values()] for each in Permission}


def test_every_place_is_told_with_its_key() -> None:
    told = dict(re.findall(r"`g (\w)` (\w+)", TOUR.replace("\n", " ")))
    assert told == {place.key: place.label.lower() for place in places()}


def test_every_picture_is_there_in_both_themes() -> None:
    shown = set(re.findall(r"images/([a-z-]+)-(light|dark)\.png", TOUR))
    assert {name for name, _ in shown} == {name for name, theme in shown if theme == "dark"}
    assert [f"{name}-{theme}" for name, theme in shown if not (DOCS / f"images/{name}-{theme}.png").is_file()] == []
