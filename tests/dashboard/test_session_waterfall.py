"""The waterfall: where bars lie, what is folded, what is marked, and that it stays right while a session goes on."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

import pytest
from django.test import Client

from customers.models import Customer
from dashboard import session_page
from dashboard.waterfall import END, END_IF_OPEN, FOLD_AFTER_MS, Axis, Span
from tests.dashboard.traffic import Talk

PAGE = "/app/sessions/s-1"
HOUR_MS = 3_600_000.0


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def axis_words(page: str) -> list[str]:
    return [words(each) for each in re.findall(r'class="axis-words">(.*?)</p>', page)]


def idle_words(page: str) -> list[str]:
    return [words(each) for each in re.findall(r'class="idle">(.*?)</p>', page)]


def bars(page: str) -> dict[str, str]:
    """The drawing of each row, by its id."""
    return dict(re.findall(r'class="track" id="bar-([^"]+)"[^>]*>(.*?)</span>', page))


def lengths(drawing: str) -> tuple[float, float]:
    """(where its bar begins, how wide it is), in per cent."""
    found = re.search(r'x="([\d.]+)%".* width="([\d.]+)%"', drawing)
    assert found, drawing
    return float(found.group(1)), float(found.group(2))


def poll(page: str) -> str:
    found = re.search(r'id="tail" data-poll hx-get="([^"]+)"', page)
    assert found
    return found.group(1).replace("&amp;", "&")


class TestAxis:
    def test_busy_time_is_to_scale(self) -> None:
        axis = Axis.of([Span(0, 100), Span(50, 400)])
        assert (axis.begin, axis.end, axis.folds) == (0, 400, ())
        assert axis.places([0, 100, 200, 400]) == pytest.approx([0, END / 4, END / 2, END])

    def test_ten_idle_hours_leave_a_millisecond_its_place(self) -> None:
        late = 10 * HOUR_MS
        axis = Axis.of([Span(0, 1), Span(late, late + 1)])
        assert axis.folds == ((1, late),)
        assert axis.busy_ms == pytest.approx(2)
        first, again = axis.places([1, late])
        assert again - first == pytest.approx(axis.fold_width)
        assert axis.places([late + 1]) == pytest.approx([END])

    def test_a_pause_that_is_short_or_in_which_something_is_under_way_is_not_folded(self) -> None:
        assert Axis.of([Span(0, 1), Span(1 + FOLD_AFTER_MS, 9000)]).folds == ()
        assert Axis.of([Span(0, HOUR_MS), Span(1, 2), Span(HOUR_MS, HOUR_MS)]).folds == ()

    def test_a_request_that_is_waited_for_is_under_way_and_one_nobody_answered_is_not(self) -> None:
        waiting, later = Span(0, math.inf, is_open=True), Span(HOUR_MS, HOUR_MS + 5)
        assert Axis.of([waiting, later]).folds == ()
        unanswered = Axis.of([Span(0, 0, is_open=True), later])
        assert unanswered.folds == ((0, HOUR_MS),)
        assert unanswered.place(HOUR_MS + 5) == pytest.approx(END_IF_OPEN)

    def test_many_folds_leave_most_of_the_axis_to_what_happened(self) -> None:
        axis = Axis.of([Span(number * 10_000.0, number * 10_000.0 + 10) for number in range(100)])
        assert len(axis.folds) == 99
        assert axis.fold_width * 99 == pytest.approx(30)

    def test_places_never_go_back(self) -> None:
        axis = Axis.of([Span(0, 10), Span(5000, 5010), Span(5012, 90_000), Span(200_000, 200_001)])
        places = axis.places(moment / 2 for moment in range(400_002))
        assert places == sorted(places)
        assert (places[0], places[-1]) == pytest.approx((0, END), abs=0.01)

    def test_one_moment_and_nothing_have_an_axis_too(self) -> None:
        assert Axis.of([]).places([0.0]) == [0]
        assert Axis.of([Span(7, 7)]).places([7.0]) == [0]


def test_rows_say_what_the_bars_show(browser: Client, customer: Customer, talk: Talk) -> None:
    first = talk.request("tools/call", tool="git_log")
    talk.answer(first, after_ms=99)
    talk.clock += timedelta(hours=10)
    asked = talk.request("sampling/createMessage", by="server")
    talk.answer(asked, after_ms=49)
    failed = talk.request("tools/call", tool="rm")
    talk.answer(failed, error={"code": -1, "message": "no"}, after_ms=46)
    told = talk.notify("notifications/progress")
    lost = talk.gap("disk_full", 1, 10)
    talk.store(customer)
    page = browser.get(PAGE).content.decode()
    assert idle_words(page) == ["idle for 10 h 00 min"]
    assert axis_words(page) == ["199 ms of busy time; 1 idle gap (10 h 00 min) folded"]
    drawn = bars(page)
    assert lengths(drawn[first["id"]]) == pytest.approx((0, 95 * 99 / 200), abs=0.5)
    assert 'class="forth"' in drawn[first["id"]]
    assert 'class="back"' in drawn[asked["id"]]
    assert [name for name, drawing in drawn.items() if 'class="cross"' in drawing] == [failed["id"]]
    assert 'class="tick notice"' in drawn[told["id"]]
    assert 'class="tick lost"' in drawn[lost["id"]]
    assert page.index("idle for 10 h") < page.index(f'id="row-{asked["id"]}"') + 200


def test_the_wait_for_a_tasks_result_is_as_long_as_it_was_and_not_as_its_call(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    asked = talk.request("tools/call", tool="train")
    talk.answer(asked, {"task": {"taskId": "t", "status": "working"}}, after_ms=49)
    waited = talk.request("tasks/result", {"taskId": "t"}, tool="train")
    waited["correlation_id"] = asked["id"]
    talk.answer({**waited, "id": asked["id"]}, after_ms=49)["duration_ms"] = 5000
    talk.store(customer)
    page = browser.get(PAGE).content.decode()
    begin, width = lengths(bars(page)[waited["id"]])
    assert (begin, width) == pytest.approx((END / 2, END / 2), abs=2)
    assert axis_words(page) == ["101 ms of busy time"]
    assert "5.00 s" in words(page), "the row says how long the call took"


def test_an_open_request_reaches_the_end_of_the_axis(browser: Client, customer: Customer, talk: Talk) -> None:
    talk.answer(talk.request("tools/list"), after_ms=10)
    waiting = talk.request("tools/call", tool="slow")
    talk.store(customer)
    drawing = bars(browser.get(PAGE).content.decode())[waiting["id"]]
    begin, width = lengths(drawing)
    assert begin + width == pytest.approx(100)
    assert width >= 100 - END_IF_OPEN - 0.01
    assert 'class="onward"' in drawing


def test_the_heads_percentiles_are_of_the_clients_answered_calls(
    browser: Client, customer: Customer, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        talk.answer(talk.request("tools/call", tool=f"tool-{number % 8}"), after_ms=10 + number)
    talk.answer(talk.request("sampling/createMessage", by="server"), after_ms=9000)
    talk.request("tools/call", tool="tool-1")
    talk.store(customer)
    head = words(browser.get(PAGE).content.decode().partition("About this session")[2].partition("</section>")[0])
    assert "Calls p50, p95 19 ms, 28 ms of 20" in head
    assert "Tools tool-1 ×4 ," in head
    assert "and 2 more" in head
    monkeypatch.setattr(session_page, "EXCHANGES_PER_PAGE", 5)
    part = words(browser.get(PAGE).content.decode())
    assert "Calls p50, p95 here 12 ms, 14 ms of 5" in part
    assert "The axis of these 5 rows" in part


class TestLive:
    def test_bars_move_over_for_what_is_new(self, browser: Client, customer: Customer, talk: Talk) -> None:
        first = talk.request("tools/list")
        talk.answer(first, after_ms=10)
        talk.store(customer)
        page = browser.get(PAGE).content.decode()
        second = talk.request("tools/call", tool="slow")
        talk.answer(second, after_ms=990)
        talk.store(customer)
        news = browser.get(poll(page)).content.decode()
        begin, width = lengths(bars(news)[first["id"]])
        assert (begin, width) == pytest.approx((0, 1), abs=0.2)
        assert f'id="bar-{first["id"]}" hx-swap-oob="true"' in news
        assert f'id="axis-{first["id"]}" hx-swap-oob="true"' in news
        assert f'hx-swap-oob="beforeend:#rows-{first["id"]}"' in news
        assert axis_words(news) == ["1.00 s of busy time"]
        assert bars(news) == bars(browser.get(PAGE).content.decode())

    def test_a_waiting_bar_moves_too_and_its_answer_ends_it(
        self, browser: Client, customer: Customer, talk: Talk
    ) -> None:
        waiting = talk.request("tools/call", tool="slow")
        talk.store(customer)
        page = browser.get(PAGE).content.decode()
        talk.answer(talk.request("tools/list"), after_ms=100)
        talk.store(customer)
        news = browser.get(f"{poll(page)}&waiting={waiting['id']}").content.decode()
        assert "onward" in bars(news)[waiting["id"]]
        assert f'id="open-{waiting["id"]}"' not in news
        talk.answer(waiting, after_ms=500)
        talk.store(customer)
        ended = browser.get(f"{poll(news)}&waiting={waiting['id']}").content.decode()
        assert "onward" not in bars(ended)[waiting["id"]]
        assert lengths(bars(ended)[waiting["id"]])[1] == pytest.approx(END)

    def test_the_first_messages_of_a_session_bring_their_axis(
        self, browser: Client, customer: Customer, talk: Talk
    ) -> None:
        talk.notify("n/first")
        talk.store(customer)
        end = re.search(r"place=([^&]+)&", poll(browser.get(PAGE).content.decode()))
        assert end
        beyond = browser.get(f"{PAGE}?after={end.group(1)}").content.decode()
        assert "No messages here yet" in beyond
        talk.notify("n/second")
        talk.store(customer)
        news = browser.get(poll(beyond)).content.decode()
        assert 'hx-swap-oob="beforeend:#exchanges"' in news
        assert "n/second" in news
        assert "n/first" not in news

    def test_an_answer_of_a_batch_before_comes_without_a_bar(
        self, browser: Client, customer: Customer, talk: Talk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session_page, "EXCHANGES_PER_PAGE", 2)
        waiting = talk.request("tools/call", tool="slow")
        for number in range(3):
            talk.notify(f"n/{number}")
        talk.store(customer)
        more = re.search(r'hx-get="([^"]+/more[^"]+)"', browser.get(PAGE).content.decode())
        assert more
        page = browser.get(more.group(1)).content.decode()
        talk.answer(waiting, after_ms=70)
        talk.store(customer)
        news = browser.get(f"{poll(page)}&waiting={waiting['id']}").content.decode()
        assert bars(news)[waiting["id"]] == ""
        assert f'id="open-{waiting["id"]}" hx-swap-oob="true"' in news

    @pytest.mark.parametrize("place", ["x", "W10", "WyJhIiwgMV0"])
    def test_a_place_that_is_none_is_refused(self, place: str, browser: Client, customer: Customer, talk: Talk) -> None:
        talk.notify("n/first")
        talk.store(customer)
        assert browser.get(f"{PAGE}/live", {"seen": "0", "place": place}).status_code == 400


def test_nothing_of_the_words_people_chose_is_in_a_drawing(browser: Client, customer: Customer, now: datetime) -> None:
    talk = Talk("s-1", started_at=now - timedelta(seconds=30))
    talk.answer(talk.request('"><script>alert(1)', tool='"/><script>'), error={"code": "<b>", "message": "<i>"})
    talk.store(customer)
    for drawing in bars(browser.get(PAGE).content.decode()).values():
        assert re.fullmatch(r'(<[a-z/]+( [a-z-]+="[\w .%-]*")*/?>)+', drawing), drawing
