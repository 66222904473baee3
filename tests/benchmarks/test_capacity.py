"""The capacity page is what its figures come to, and the arithmetic behind it is the one it tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import capacity
from benchmarks._capacity_model import BUSY, MIX, PEAK, Costs, box, needed
from benchmarks._ingestion_phases import compared


@pytest.fixture
def costs() -> Costs:
    """A request costs 1,000 µs in the web process and each of its events 10; nothing else costs anything."""
    parts = dict.fromkeys(("worker", "postgresql", "redis"), 0.0)
    single, batch = {"web": 1_010.0, **parts}, {"web": 20.0, **parts}
    production = {
        "single": {"cpu_us_per_event": single},
        "sustained": {"cpu_us_per_event": batch},
        "disk": {"bytes_per_event": 1_000},
        "accept": {"wal_bytes_per_event": 100, "body_bytes_per_event": 125},
        "drain": {"wal_bytes_per_event": 900},
    }
    return Costs.of({"production": production})


@pytest.mark.parametrize("page", capacity.PAGES, ids=lambda page: page.name)
def test_the_pages_are_made_of_the_figures_that_are_kept(page: Path) -> None:
    text = page.read_text()
    assert capacity.BLOCK.search(text)
    assert capacity.made_anew(text, json.loads(capacity.FIGURES.read_text())) == text


def test_costs_of_a_request_and_of_its_events_come_from_two_sizes(costs: Costs) -> None:
    assert costs.at(1)["web"] == pytest.approx(1_010)
    assert costs.at(100)["web"] == pytest.approx(20)
    assert costs.at(10)["web"] == pytest.approx(110)


def test_needs_follow_from_the_mix(costs: Costs) -> None:
    need = needed(100_000, costs, 10)
    assert need.events_per_day == pytest.approx(100_000 * sum(tier.share * tier.events_per_day for tier in MIX))
    assert need.peak_per_s == pytest.approx(PEAK * need.events_per_day / 86_400)
    assert need.web_processes == pytest.approx(need.peak_per_s * 110e-6 / BUSY, abs=1)
    assert need.disk_bytes == need.kept_events * 1_000
    assert need.wal_bytes_per_day == need.events_per_day * 1_000


def test_a_box_is_never_planned_full(costs: Costs) -> None:
    most, peak, customers = box(2, costs, 100)
    assert most == pytest.approx(100_000) and peak == pytest.approx(BUSY * most)
    assert needed(round(customers), costs, 100).peak_per_s == pytest.approx(peak, rel=1e-3)


def test_figures_of_anything_but_a_known_benchmark_are_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "relay.json"
    wrong.write_text('{"benchmark": "relay"}\n')
    with pytest.raises(SystemExit, match="`relay`"):
        capacity.take([wrong], {})
    wrong.write_text("error: it did not come up\n")
    with pytest.raises(SystemExit, match="not what a benchmark printed"):
        capacity.take([wrong], {})


class Stored:
    """A service that holds these events."""

    kind = "embedded"

    def __init__(self, *ids: str) -> None:
        self.ids = ids

    def ask(self, _query: str) -> list[tuple[Any, ...]]:
        return [(event_id,) for event_id in self.ids]


A, B, C = (f"00000000-0000-7000-8000-00000000000{number}" for number in range(3))


@pytest.mark.parametrize(
    ("stored", "counted"),
    [((A,), "lost_events"), ((A, B, B), "stored_twice_events"), ((A, B, C), "never_sent_events")],
)
def test_a_lost_doubled_or_foreign_event_is_no_equality(
    stored: tuple[str, ...], counted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = compared(Stored(*stored), {A, B}, [])  # type: ignore[arg-type]  # only what is asked of it
    assert not result["sent_equals_stored"] and result[counted] == 1
    assert counted in capsys.readouterr().err
    assert compared(Stored(A, B), {A, B}, [])["sent_equals_stored"]  # type: ignore[arg-type]  # as above
