"""Attacks on what a registry published, each by its name: the laptop refuses, says what it looks like, and recovers.

`tests/client/registry/test_attacks.py` has every attack of the table; these are tried with everybody's real programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.end_to_end.raw_client import RawClient
from tests.end_to_end.registry_customers import Customer, call
from tests.end_to_end.registry_middle import Lie, honest
from tests.end_to_end.registry_world import World
from tests.end_to_end.waiting import eventually

DAY = 86_400.0
Files = Mapping[str, bytes]


def held_at(seen: Files) -> Lie:
    """A lie: the timestamps of that view, so that whoever gets them sees it, and nothing newer."""
    stamped = {path: data for path, data in seen.items() if path.endswith("/timestamp.json")}
    assert len(stamped) >= 2, "the catalog's and a director's"
    return stamped.get


def tampered_package(found: World, name: str) -> None:
    """One bit of the payload, on the way: kept aside, and nothing of it is unpacked."""
    pro = found.pro
    found.middle.lie = lambda path, data: _flipped(data) if path.endswith(".kmpkg") else data
    assert "not what was signed" in pro.refuses("plugins", "install", name)
    found.middle.lie = honest
    assert pro.quarantined() == [(name, "registry_tampered")]
    assert not pro.installed() and not pro.files(f"registry/*/plugins/{name}/*/plugin")


def rollback(found: World, customer: Customer, old: Files) -> None:
    """A view that was true once, after a newer one was seen."""
    before = customer.installed()
    found.middle.lie = held_at(old)
    assert "or older" in customer.refuses("plugins", "refresh")
    found.middle.lie = honest
    assert customer.installed() == before
    customer.does("plugins", "refresh")


def mix_and_match(found: World, customer: Customer, old: Files) -> None:
    """What the customer could run once, in the newest view of it."""
    own = [path for path in old if f"/director/{customer.id}/" in path and path.endswith(".targets.json")]
    targets = old[max(own, key=_version)]
    found.middle.lie = lambda path, data: targets if customer.id in path and path.endswith(".targets.json") else data
    said = customer.refuses("plugins", "refresh")
    found.middle.lie = honest
    assert "more than was promised" in said or "not what was signed" in said or "or older" in said, said


def freeze(found: World, place: Path) -> None:
    """The newest view for ever: after two days it counts no more, and what was installed goes on."""
    pro = found.pro
    found.middle.lie = held_at(found.middle.seen())
    with pro.at_another_time(2 * DAY, place / "later"):
        assert "held back on the way" in pro.refuses("plugins", "refresh")
    found.middle.lie = honest
    pro.does("plugins", "refresh")


def clock_set_back(found: World, place: Path) -> None:
    """Behind what the server signed: nothing is asked of the registry, since nothing could be told to have run out."""
    pro = found.pro
    with pro.at_another_time(-DAY / 2, place / "earlier"):
        assert "clock" in pro.refuses("plugins", "refresh")
    pro.does("plugins", "refresh")


def tampered_on_disk(found: World, name: str, server: list[str]) -> None:
    """One line more in an installed file: it is not started, the session goes on, and it is fetched again."""
    pro = found.pro
    with pro.session(server) as client:
        pro.until(name, "running")
        call(client)
    pro.until(name, "stopped")
    (main,) = pro.files(f"registry/*/plugins/{name}/*/plugin/main.py")
    sound = main.read_bytes()
    main.chmod(0o600)
    main.write_bytes(sound + b"print('evil')\n")
    with pro.session(server) as client:
        row = pro.until(name, "refused", "unavailable", also=lambda row: row["trouble"] is not None)
        call(client)
    assert (row["trouble"]["code"], row["pid"]) == ("plugin_tampered", None)
    eventually(lambda: main.read_bytes() == sound, within=60, what="the sound build is fetched again")


def another_customers_package(found: World, name: str) -> None:
    """A sound package, built for somebody else."""
    pro = found.pro
    assert "is sound" in pro.does("plugins", "verify", str(kept_package(found, pro, name)))
    stolen = kept_package(found, found.enterprise, name)
    assert found.enterprise.id in pro.refuses("plugins", "verify", str(stolen), code=4)


def old_lease_after_downgrade(
    found: World, customer: Customer, leases: Mapping[Path, bytes], server: list[str], *, paid: str, free: str
) -> None:
    """The lease of better days, put back where nobody can be asked: what it paid for stays off."""
    customer.does("agent", "stop")
    for path, lease in leases.items():
        assert path.read_bytes() != lease
        path.write_bytes(lease)
    found.middle.is_down = True
    with customer.session(server) as client:
        customer.until(free, "running")
        row = customer.until(paid, "not_entitled")
        assert row["pid"] is None
        call(client)
        found.middle.is_down = False
        _goes_on(client)
        assert customer.until(paid, "not_entitled")["pid"] is None


def kept_package(found: World, customer: Customer, name: str) -> Path:
    """The package as the customer downloaded it, kept under its own name."""
    kept = found.middle.seen(customer.id)
    ((path, data),) = [each for each in kept.items() if f"/{name}/" in each[0] and each[0].endswith(".kmpkg")]
    file = customer.laptop.data_dir.parent / path.rpartition("/")[2].partition(".")[2]
    file.write_bytes(data)
    return file


def _goes_on(client: RawClient) -> None:
    for _ in range(3):
        call(client)


def _version(path: str) -> int:
    return int(path.rpartition("/")[2].partition(".")[0])


def _flipped(data: bytes) -> bytes:
    at = data.index(b"payload/main.py") + 20
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
