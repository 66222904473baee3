"""Attacks on the way from the registry to a laptop, each against the real client over HTTP, each by its name.

After each of them: nothing of it was installed, what was installed before runs on, and an honest refresh works again.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from km_client.agent.delivery import Destination
from km_client.entitlement.lease_store import Kept, LeaseStore, place_of
from km_client.registry import fetcher, quarantine
from km_client.registry.errors import RegistryError
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets

from tests.client.registry.conftest import Laptop
from tests.client.registry.registry_server import CUSTOMER
from tests.client.registry.signed import SignedRegistry, after, signer
from tests.protocol.signed_packages import ANN, BEN, STRANGER, packed, unpacked

DIRECTOR = f"director/{CUSTOMER}"


def refused(laptop: Laptop) -> RegistryError:
    """What a refresh under attack says; nothing changed on the machine."""
    before = laptop.versions()
    with pytest.raises(RegistryError) as caught:
        laptop.refresh()
    assert laptop.versions() == before
    assert laptop.standings().problem == caught.value.message
    return caught.value


def not_installed(laptop: Laptop, name: str = "checked") -> RegistryError:
    """Why one plugin was not installed by a refresh that could be believed."""
    before = laptop.versions()
    done = laptop.refresh()
    assert not done.installed and laptop.versions() == before
    return next(one.error for one in done.failed if one.name == name)


def recovers(laptop: Laptop, number: str = "1.9.0") -> None:
    """The honest registry is believed again at once."""
    laptop.server.honest()
    laptop.offer(number)
    laptop.refresh()
    assert laptop.versions() == {"checked": number}


@pytest.mark.parametrize("where", ["first", "header", "statement", "payload", "directory", "last"])
def test_tampered_package(laptop: Laptop, where: str) -> None:
    path = laptop.offer()
    file = next(key for key in laptop.registry.files if key.endswith(path.rpartition("/")[2]))
    data = laptop.registry.files[file]
    position = {
        "first": 0,
        "header": 20,
        "statement": data.index(b"km/manifest.dsse.json") + 60,
        "payload": data.index(b"payload/main.py") + 20,
        "directory": data.rindex(b"payload/main.py") - 10,
        "last": len(data) - 1,
    }[where]
    laptop.server.answer(file.removeprefix("/"), data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
    assert not_installed(laptop).code == "registry_tampered"
    assert [(one.name, one.code) for one in quarantine.listed(laptop.place)] == [("checked", "registry_tampered")]
    assert not list(laptop.place.plugins.glob("*/*/plugin"))
    recovers(laptop)
    assert not quarantine.listed(laptop.place)


def test_rollback(laptop: Laptop) -> None:
    laptop.offer("1.0.0")
    old = dict(laptop.registry.files)
    laptop.offer("1.1.0")
    laptop.refresh()
    for repository in (DIRECTOR, "catalog"):
        for name in ("timestamp.json", "1.snapshot.json"):
            laptop.server.answer(f"{repository}/{name}", old[f"{repository}/{name}"])
        assert refused(laptop).code == "registry_rollback"
        laptop.server.honest()
    recovers(laptop)


def test_freeze(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    laptop.registry.publish_director(CUSTOMER, expires=after(seconds=-1))
    assert refused(laptop).code == "registry_expired"
    recovers(laptop)


def test_mix_and_match(laptop: Laptop) -> None:
    laptop.offer("1.0.0")
    targets = laptop.registry.files[f"{DIRECTOR}/{laptop.registry.versions[CUSTOMER]}.targets.json"]
    laptop.offer("1.1.0")
    laptop.server.answer(f"{DIRECTOR}/{laptop.registry.versions[CUSTOMER]}.targets.json", targets)
    assert refused(laptop).code in {"registry_tampered", "registry_endless", "registry_rollback"}
    recovers(laptop)


@pytest.mark.parametrize("name", ["timestamp.json", "2.root.json", "package"])
def test_endless_data(laptop: Laptop, name: str) -> None:
    sent = itertools.count()

    def endless() -> Iterator[bytes]:
        while next(sent) < 1_000:
            yield b" " * 65_536

    path = laptop.offer()
    file = next(key for key in laptop.registry.files if key.endswith(path.rpartition("/")[2]))
    laptop.server.answer(file if name == "package" else f"{DIRECTOR}/{name}", endless)
    error = not_installed(laptop) if name == "package" else refused(laptop)
    assert error.code == "registry_endless"
    assert next(sent) < 500  # the client left
    recovers(laptop)


def test_wrong_size(laptop: Laptop) -> None:
    path = laptop.offer()
    file = next(key for key in laptop.registry.files if key.endswith(path.rpartition("/")[2]))
    laptop.server.answer(file, laptop.registry.files[file][:-1])
    assert not_installed(laptop).code == "registry_tampered"
    recovers(laptop)


def test_another_customers_repository(laptop: Laptop) -> None:
    laptop.registry.offer("cus_b", Laptop(laptop.server, laptop.destination, "cus_b").made())
    laptop.registry.publish()
    for path, data in list(laptop.registry.files.items()):
        if path.startswith("director/cus_b/"):
            laptop.server.answer(path.replace("cus_b", CUSTOMER), data)
    assert refused(laptop).code == "registry_scope"
    kept = [file.read_text() for file in (laptop.place.directory / "director").rglob("*.json")]
    assert not any("cus_b" in text for text in kept)  # nothing of it was stored
    recovers(laptop)


def test_the_catalog_in_the_directors_place(laptop: Laptop) -> None:
    for path, data in list(laptop.registry.files.items()):
        if path.startswith("catalog/") and "root" not in path:
            laptop.server.answer(path.replace("catalog", DIRECTOR, 1), data)
    assert refused(laptop).code in {"registry_scope", "registry_signature"}
    laptop.registry.publish_roots()
    laptop.server.answer(f"{DIRECTOR}/2.root.json", laptop.registry.files["catalog/2.root.json"])
    assert refused(laptop).code == "registry_scope"
    recovers(laptop)


def test_another_customers_package(laptop: Laptop) -> None:
    made = Laptop(laptop.server, laptop.destination, "cus_b").made()
    laptop.registry.offer(CUSTOMER, made)
    laptop.registry.publish()
    error = not_installed(laptop)
    assert (error.code, error.exit_code) == ("package_refused", 4)
    recovers(laptop)


def test_stolen_timestamp_key(laptop: Laptop) -> None:
    """It can say that nothing new exists, until the snapshot ends; it cannot bring an older or another set back."""
    laptop.offer("1.0.0")
    snapshot = laptop.registry.files[f"{DIRECTOR}/{laptop.registry.versions[CUSTOMER]}.snapshot.json"]
    old = MetaFile(laptop.registry.versions[CUSTOMER], len(snapshot))
    laptop.offer("1.1.0")
    laptop.refresh()
    laptop.registry.stamp(DIRECTOR, "director", 900, old, scope=CUSTOMER)
    assert refused(laptop).code == "registry_rollback"
    forged = Snapshot(950, expires=after(days=7), unrecognized_fields={"x-km-scope": CUSTOMER})
    key = laptop.registry.role_keys["director"]["timestamp"]
    data = laptop.registry.sign(forged, key)
    laptop.registry.files[f"{DIRECTOR}/950.snapshot.json"] = data
    laptop.registry.stamp(DIRECTOR, "director", 950, MetaFile(950, len(data)), scope=CUSTOMER)
    assert refused(laptop).code == "registry_signature"
    # Recovery: a new root names another timestamp key, and versions count from where the honest ones were.
    laptop.registry.role_keys["director"]["timestamp"] = CryptoSigner.generate_ed25519()
    laptop.registry.publish_roots()
    recovers(laptop)


def test_stolen_director_keys_and_build_server(laptop: Laptop) -> None:
    """Everything online is stolen, the issuer's key too: changed code is still refused, whatever is said of it."""
    sound = laptop.made()
    laptop.registry.review("checked/1.2.0/any", sound.payload_digest)
    evil = laptop.made(files={"main.py": b"print('evil')\n"})
    laptop.registry.offer(CUSTOMER, evil, reviewed=False)
    laptop.registry.publish()
    assert not_installed(laptop).code == "registry_disagrees"  # what the director says of it, truly
    for target in laptop.registry.offered[CUSTOMER].values():
        target.unrecognized_fields["custom"] = {"payload_digest": sound.payload_digest}
    laptop.registry.publish()
    error = not_installed(laptop)  # and falsely
    assert error.code == "registry_disagrees" or (error.code, error.exit_code) == ("package_refused", 5)
    laptop.registry.offered[CUSTOMER].clear()
    recovers(laptop)


def test_a_review_that_another_package_had(laptop: Laptop) -> None:
    sound = unpacked(laptop.made().package())
    evil = laptop.made(files={"main.py": b"print('evil')\n"})
    data = packed({**unpacked(evil.package()), "km/review.dsse.json": sound["km/review.dsse.json"]})
    laptop.registry.offer_bytes(CUSTOMER, evil, data, version="1.2.0")
    laptop.registry.publish()
    assert not_installed(laptop).exit_code == 5
    recovers(laptop)


def test_one_of_two_reviewer_keys(laptop: Laptop) -> None:
    """One reviewer alone can neither vouch in the catalog nor under a package."""
    laptop.registry.reviewers = [signer(ANN)]
    laptop.registry.offer(CUSTOMER, laptop.made())
    laptop.registry.reviewers = [signer(ANN), signer(BEN)]
    laptop.registry.publish()
    version = laptop.registry.versions["catalog"]
    for path in [path for path in laptop.registry.files if path.startswith(f"catalog/{version}.release")]:
        laptop.registry.files[path] = laptop.registry.sign(
            Metadata[Targets].from_bytes(laptop.registry.files[path]).signed, signer(ANN), signer(STRANGER)
        )
    names = {path.split(".", 1)[1][:-5] for path in laptop.registry.files if path.startswith(f"catalog/{version}.rel")}
    roles = {role: laptop.registry.files[f"catalog/{version}.{role}.json"] for role in (*names, "targets", "security")}
    laptop.registry.publish_files("catalog", "catalog", version, roles)
    assert refused(laptop).code == "registry_signature"
    laptop.registry.offered[CUSTOMER].clear()
    laptop.registry.offer(CUSTOMER, laptop.made(reviewers=(ANN,)))
    laptop.registry.publish()
    assert not_installed(laptop).exit_code == 5
    laptop.registry.offered[CUSTOMER].clear()
    recovers(laptop)


def test_old_metadata_after_a_downgrade(laptop: Laptop) -> None:
    path = laptop.offer()
    laptop.refresh()
    old = {name: data for name, data in laptop.registry.files.items() if name.startswith(DIRECTOR)}
    laptop.withdraw(path)
    laptop.refresh()
    assert laptop.standings().plugins["checked"].state == "not_entitled"
    for name, data in old.items():
        laptop.server.answer(name, data)
    assert refused(laptop).code == "registry_rollback"
    assert laptop.standings().refusal(laptop.installed()["checked"]) is not None  # it stays off


def test_revoked_root_key(laptop: Laptop) -> None:
    """After an emergency rotation the keys that were stolen sign no root any more."""
    stolen = list(laptop.registry.root_keys)
    laptop.registry.root_keys = [CryptoSigner.generate_ed25519() for _ in range(3)]
    laptop.registry.publish_roots(signed_by=stolen[:2])
    laptop.offer()
    laptop.refresh()
    honest, laptop.registry.root_keys = laptop.registry.root_keys, stolen
    laptop.registry.publish_roots()
    assert refused(laptop).code == "registry_signature"
    laptop.registry.root_keys, laptop.registry.root_version = honest, 2
    laptop.registry.publish_roots()
    recovers(laptop)


def test_oversized_root_chain(laptop: Laptop) -> None:
    """No more roots are followed than a refresh may; one that is too large is none."""
    for _ in range(270):
        laptop.registry.publish_roots()
    laptop.offer()
    laptop.refresh()
    asked = [path for path in laptop.server.asked if path.startswith(f"/api/tuf/{DIRECTOR}/") and "root" in path]
    assert len(asked) <= 256 + 1
    recovers(laptop)


def test_oversized_root(laptop: Laptop) -> None:
    laptop.offer()
    laptop.server.answer(f"{DIRECTOR}/2.root.json", b" " * 70_000)
    assert refused(laptop).code == "registry_endless"
    recovers(laptop)


@pytest.mark.parametrize("name", ["timestamp.json", "package"])
def test_slow_retrieval(laptop: Laptop, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "METADATA_SECONDS", 0.4)

    def drip() -> Iterator[bytes]:
        while not laptop.server.let_go.wait(0.02):
            yield b" "

    path = laptop.offer()
    file = next(key for key in laptop.registry.files if key.endswith(path.rpartition("/")[2]))
    laptop.server.answer(file if name == "package" else f"{DIRECTOR}/{name}", drip)
    begun = time.monotonic()
    error = not_installed(laptop) if name == "package" else refused(laptop)
    assert error.code == "registry_slow" and time.monotonic() - begun < 5
    monkeypatch.undo()


def test_silence(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "READ_SECONDS", 0.2)

    def nothing() -> Iterator[bytes]:
        laptop.server.let_go.wait(20)
        yield b""

    laptop.server.answer(f"{DIRECTOR}/timestamp.json", nothing)
    assert refused(laptop).code == "registry_slow"


def test_redirect(laptop: Laptop) -> None:
    laptop.offer()
    laptop.server.redirects[f"{DIRECTOR}/timestamp.json"] = f"{laptop.server.url}/api/tuf/catalog/timestamp.json"
    assert refused(laptop).code == "registry_redirect"
    recovers(laptop)


def test_clock_set_back(laptop: Laptop) -> None:
    LeaseStore(place_of(laptop.destination)).save(Kept(floor=int(time.time()) + 3_600))
    asked = laptop.server.asked.total()
    with pytest.raises(RegistryError) as caught:
        laptop.refresh()
    assert caught.value.code == "clock_set_back" and laptop.server.asked.total() == asked


def test_another_key_of_another_customer_shares_nothing(laptop: Laptop) -> None:
    laptop.offer()
    laptop.refresh()
    other = Laptop(laptop.server, Destination(laptop.server.url, laptop.server.new_key("cus_b")), "cus_b")
    laptop.registry.offered["cus_b"] = {}
    laptop.registry.publish()
    other.pin()
    other.refresh()
    assert other.place.directory != laptop.place.directory and not other.versions()
    assert laptop.versions() == {"checked": "1.2.0"}


def forgeries() -> Iterator[tuple[str, Callable[[Laptop], bytes]]]:
    yield "no root", lambda _: b"{}"
    yield "not signed", lambda it: it.registry.sign(_root(it, "director"))
    yield "by one key", lambda it: it.registry.sign(_root(it, "director"), it.registry.root_keys[0])
    yield "by strangers", lambda it: it.registry.sign(_root(it, "director"), signer(ANN), signer(BEN))

    yield "of strangers, sound in itself", _strangers_root


def _strangers_root(_: Laptop) -> bytes:
    return SignedRegistry().files["director/1.root.json"]


def _root(laptop: Laptop, name: str) -> Root:
    return Metadata[Root].from_bytes(laptop.registry.files[f"{name}/1.root.json"]).signed


@pytest.mark.parametrize(("name", "forged"), list(forgeries()))
def test_a_forged_first_root(laptop: Laptop, tmp_path: Path, name: str, forged: Callable[[Laptop], bytes]) -> None:
    """The director's first root counts only under the signatures of the catalog's root keys."""
    fresh = Laptop(laptop.server, Destination(laptop.server.url, laptop.server.new_key("cus_new")), "cus_new")
    laptop.server.answer("director/cus_new/1.root.json", forged(laptop))
    with pytest.raises(RegistryError) as caught:
        fresh.pin()
    assert caught.value.code == "registry_root", name
    assert not fresh.place.is_set_up()
