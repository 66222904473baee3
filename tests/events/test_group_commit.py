"""Threads share a commit, each gets its own outcome, and nobody fails for another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
from django.db import OperationalError

from events.group_commit import GroupCommit
from tests.events.samples import await_that

TIMEOUT_SECONDS = 20


class Disk:
    """Writes groups of numbers, slowly when told to: the first group waits until `go`."""

    def __init__(self, fails_on: Callable[[int], BaseException | None] | None = None) -> None:
        self.groups: list[list[int]] = []
        self.writing = threading.Event()
        self.go = threading.Event()
        self._fails_on = fails_on or (lambda _: None)

    def write(self, drafts: Sequence[int]) -> list[int]:
        self.writing.set()
        assert self.go.wait(TIMEOUT_SECONDS)
        self.groups.append(list(drafts))
        for draft in drafts:
            if (error := self._fails_on(draft)) is not None:
                raise error
        return [draft * 10 for draft in drafts]


def run_together(commits: GroupCommit[int, int], disk: Disk, drafts: range) -> dict[int, int | BaseException]:
    """The first draft begins a group; all the others arrive while it is written."""
    outcomes: dict[int, int | BaseException] = {}

    def submit(draft: int) -> None:
        try:
            outcomes[draft] = commits.submit(draft)
        except BaseException as error:  # noqa: BLE001 - it is the outcome
            outcomes[draft] = error

    threads = [threading.Thread(target=submit, args=(draft,)) for draft in drafts]
    threads[0].start()
    assert disk.writing.wait(TIMEOUT_SECONDS)
    for thread in threads[1:]:
        thread.start()
    await_that(lambda: len(commits._waiting) == len(threads) - 1)
    disk.go.set()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()
    return outcomes


def test_a_thread_alone_commits_at_once() -> None:
    disk = Disk()
    disk.go.set()
    assert GroupCommit(disk.write).submit(4) == 40
    assert disk.groups == [[4]]


def test_those_who_arrive_during_a_commit_form_the_next_group() -> None:
    disk = Disk()
    commits = GroupCommit(disk.write)
    outcomes = run_together(commits, disk, range(12))
    assert outcomes == {draft: draft * 10 for draft in range(12)}
    assert disk.groups[0] == [0]
    assert len(disk.groups) <= 3


def test_one_bad_draft_fails_alone() -> None:
    disk = Disk(lambda draft: ValueError("bad") if draft == 3 else None)
    outcomes = run_together(GroupCommit(disk.write), disk, range(6))
    assert isinstance(outcomes.pop(3), ValueError)
    assert outcomes == {draft: draft * 10 for draft in (0, 1, 2, 4, 5)}


def test_an_unreachable_database_fails_the_group_at_once() -> None:
    disk = Disk(lambda draft: OperationalError("gone") if draft > 0 else None)
    outcomes = run_together(GroupCommit(disk.write), disk, range(6))
    assert outcomes.pop(0) == 0
    assert all(isinstance(outcome, OperationalError) for outcome in outcomes.values())
    assert len(disk.groups) <= 3


def test_the_lead_is_handed_on_even_when_the_leader_is_killed() -> None:
    disk = Disk(lambda draft: SystemExit() if draft == 0 else None)
    outcomes = run_together(GroupCommit(disk.write), disk, range(4))
    assert isinstance(outcomes.pop(0), SystemExit)
    assert outcomes == {1: 10, 2: 20, 3: 30}


def test_a_newcomer_waits_while_an_heir_commits() -> None:
    begun, may_end = [threading.Event() for _ in range(3)], [threading.Event() for _ in range(3)]

    def write(drafts: Sequence[int]) -> list[int]:
        (draft,) = drafts
        begun[draft].set()
        assert may_end[draft].wait(TIMEOUT_SECONDS)
        return [draft]

    commits: GroupCommit[int, int] = GroupCommit(write)
    threads = [threading.Thread(target=commits.submit, args=(draft,)) for draft in range(3)]
    threads[0].start()
    assert begun[0].wait(TIMEOUT_SECONDS)
    threads[1].start()
    await_that(lambda: len(commits._waiting) == 1)
    may_end[0].set()
    assert begun[1].wait(TIMEOUT_SECONDS)
    threads[2].start()
    await_that(lambda: len(commits._waiting) == 1 or begun[2].is_set())
    assert not begun[2].is_set()
    may_end[1].set()
    may_end[2].set()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()


@pytest.mark.parametrize("rounds", range(3))
def test_many_threads_all_get_their_own_outcome(rounds: int) -> None:
    disk = Disk()
    disk.go.set()
    commits = GroupCommit(disk.write)
    results: list[bool] = []

    def work(base: int) -> None:
        results.extend(commits.submit(base + step) == (base + step) * 10 for step in range(100))

    threads = [threading.Thread(target=work, args=(number * 1000,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert results == [True] * 800
    assert sum(map(len, disk.groups)) == 800
