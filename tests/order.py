"""The order of a run: long tests begin it, so that it does not end with one core idle beside the longest of them.

Random inside, as pytest-randomly shuffled them. A share of the tests goes to each worker at the start, and the shares
are made for that: what stands on the same servers is in one, and begins it. Whoever is done early takes from the end
of another's, where the short ones are.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

# By how node ids begin: about how many seconds, on a machine with two cores. Only their order matters much.
LONG = {
    "tests/browser/": 250,
    "tests/end_to_end/test_production_": 200,
    "tests/end_to_end/test_registry.py": 150,
    "tests/end_to_end/": 150,
    "tests/events/test_event_logs.py": 80,
    "tests/plugins_registry/building/": 70,
    "tests/plugins_registry/production/": 60,
    "tests/plugins_registry/inspection/test_checking.py": 50,
    "tests/kmcloud/test_serve.py": 40,
    "tests/sdk/": 40,
    "tests/client/entitlement/": 40,
    "tests/plugins/": 20,
}


def longest_first(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """The same tests, for `workers` that are given equal numbers of them in this order (`--dist worksteal`)."""
    long: dict[str, list[pytest.Item]] = {}
    short: list[pytest.Item] = []
    for item in items:
        begins = next((start for start in LONG if item.nodeid.startswith(start)), None)
        (short if begins is None else long.setdefault(begins, [])).append(item)
    ordered: list[pytest.Item] = []
    for number, share in enumerate(_dealt(long, workers)):
        missing = max((len(items) - len(ordered)) // (workers - number) - len(share), 0)
        ordered += share + short[:missing]
        del short[:missing]
    return ordered + short


def _dealt(long: dict[str, list[pytest.Item]], workers: int) -> list[list[pytest.Item]]:
    """To each worker about as many seconds, what is longest first."""
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    seconds = [0] * workers
    for begins in sorted(long, key=lambda start: -LONG[start]):
        lightest = seconds.index(min(seconds))
        shares[lightest] += long[begins]
        seconds[lightest] += LONG[begins]
    return shares
