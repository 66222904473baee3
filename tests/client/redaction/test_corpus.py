"""Real key formats are found, ordinary traffic is left alone, and what docs/client/redaction.md says of it is so."""

from __future__ import annotations

import json

import pytest
from km_client.agent.redaction import RedactionRules, Redactor

from benchmarks import _redaction_page as page
from benchmarks.redaction import recall
from tests.client.redaction_corpus import positives, traffic
from tests.client.redaction_corpus.positives import Case

REDACTOR = Redactor(RedactionRules())
LEAST_PERCENT = 99.0
MOST_FALSE_PERCENT = 0.1
CALLS = 120  # of the filesystem server: the benchmark has two thousand


@pytest.mark.parametrize("which", ["fitted", "held out"])
def test_secrets_in_real_formats_are_found_and_the_page_says_how_many(which: str) -> None:
    found = recall(REDACTOR, which)
    assert found["cases"] >= 2_000 and found["percent"] >= LEAST_PERCENT
    assert found == json.loads(page.FIGURES.read_text())["recall"][which]


@pytest.mark.parametrize("which", ["fitted", "held out"])
def test_json_is_json_after_redaction_and_keeps_everything_around_the_secret(which: str) -> None:
    for case in positives.cases(which):
        redacted = REDACTOR.redact(case.message)
        assert json.loads(redacted.content)["jsonrpc"] == "2.0"
        if not redacted.counts:
            assert redacted.content is case.message
            continue
        before, _, after = redacted.content.partition(b"[redacted:")
        assert case.message.startswith(before)
        assert case.message.endswith(after.rpartition(b"]")[2][-12:])


def test_a_secret_that_is_left_is_seen_to_be_left() -> None:
    """The judge itself: every case fails before redaction, and half of a secret is a leak."""
    cases = list(positives.cases("held out"))
    assert all(positives.is_left(case, case.message) for case in cases[::7])
    assert positives.is_left(Case("x", "abcdefghijklmnop", b""), b"...abcdefgh...")
    assert not positives.is_left(Case("x", "abcdefghijklmnop", b""), b"...[redacted:x]...")


def test_ordinary_traffic_of_real_servers_is_left_alone(npm_server: dict[str, list[str]]) -> None:
    lines = [line for said in traffic.record(CALLS, seed=5).values() for line in said]
    redacted = [line for line in lines if REDACTOR.redact(line).counts]
    assert len(lines) > 500 and len(redacted) <= len(lines) * MOST_FALSE_PERCENT / 100, redacted[:3]


def test_the_page_shows_the_figures_that_were_measured() -> None:
    figures = json.loads(page.FIGURES.read_text())
    assert page.written() == page.text(figures)
    quiet = figures["false_positives"]["held out"]
    assert quiet["messages"] >= 5_000 and quiet["percent"] <= MOST_FALSE_PERCENT
    assert figures["speed"]["redacted_mb_per_s"] >= 50
    assert all(figures["recall"][which]["percent"] >= LEAST_PERCENT for which in ("fitted", "held out"))
