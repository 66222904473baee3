"""From a source to a signed package, for real plugins: built in the box, signed, and read as a laptop reads it."""

from __future__ import annotations

import io
import secrets
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from km_protocol.kmpkg import keys, slot
from km_protocol.kmpkg.archive_format import STORED
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.trust import TrustPolicy
from km_protocol.kmpkg.verify import VerifiedPackage, verify

from customers.models import Customer
from plugins_registry.building import claims, customer_builds, issuing, kept_files, packing, payloads, requests
from plugins_registry.models import BuildState, CustomerBuild, PayloadBuild
from plugins_registry.models.plugins import registry_storage
from tests.plugins_registry.building.conftest import (
    Clock,
    Key,
    approve,
    console_logger,
    go_plugin,
    payload_row,
)

REVIEWERS = [Key(), Key()]


def built(build: PayloadBuild, clock: Clock) -> PayloadBuild:
    payloads.build_payload(build.pk, clock=clock)
    build.refresh_from_db()
    assert build.state == BuildState.BUILT, build.log
    return build


def packaged(build: PayloadBuild, customer: Customer, issuer: Key, clock: Clock) -> CustomerBuild:
    row = requests.request_build(build, customer, at=clock())
    assert customer_builds.embed(row.pk, clock=clock)
    row.refresh_from_db()
    issuing.issue(row.pk, clock=clock, signer=issuer)
    row.refresh_from_db()
    return row


def policy(issuer: Key, customer: Customer | None = None) -> TrustPolicy:
    reviewers = {key.keyid: key.public for key in REVIEWERS}
    return TrustPolicy({issuer.keyid: issuer.public}, reviewers, 2, customer.public_id if customer else None)


def opened(row: CustomerBuild, issuer: Key, clock: Clock) -> VerifiedPackage:
    assert row.state == BuildState.BUILT, row.log
    return verify(kept_files.load(str(row.package.name)), policy(issuer, row.customer), at=clock())


@pytest.fixture
def payload(db: None, clock: Clock) -> PayloadBuild:
    """The real console-logger, built and approved."""
    build = built(payload_row(console_logger()), clock)
    approve(build, REVIEWERS)
    return build


def test_a_python_plugin_becomes_a_package_that_verifies(
    payload: PayloadBuild, acme: Customer, issuer: Key, clock: Clock
) -> None:
    row = packaged(payload, acme, issuer, clock)
    found = opened(row, issuer, clock)
    assert found.payload_digest == payload.payload_digest
    assert found.customer.customer_id == acme.public_id
    assert found.customer.public_key() == row.build_key_public
    assert (found.provenance.source_sha256(), found.sha256) == (payload.source_sha256, row.sha256)
    assert [step["name"] for step in row.steps] == list(customer_builds.STEPS)
    assert all(step["ok"] for step in row.steps)
    assert {"payload/main.py", "payload/console_logger.py"} <= {each.name for each in found.files}
    assert not any(each.name.startswith(("payload/tests", "payload/manifest")) for each in found.files)


def test_the_private_half_of_a_builds_key_is_in_the_package_only(
    payload: PayloadBuild, acme: Customer, issuer: Key, clock: Clock
) -> None:
    row = packaged(payload, acme, issuer, clock)
    seed = opened(row, issuer, clock).customer.build_key
    assert keys.to_text(keys.public_of(keys.from_text(seed))) == row.build_key_public
    assert all(seed not in str(value) for value in CustomerBuild.objects.filter(pk=row.pk).values().get().values())
    assert not registry_storage().exists(customer_builds.unsigned_name(row.public_id, row.build_key_public))


def test_a_go_program_is_one_digest_for_every_customer_and_knows_whose_it_is(
    acme: Customer, globex: Customer, issuer: Key, clock: Clock, tmp_path: Path
) -> None:
    build = built(payload_row(go_plugin(), "linux-amd64"), clock)
    approve(build, REVIEWERS)
    for customer in (acme, globex):
        row = packaged(build, customer, issuer, clock)
        found = opened(row, issuer, clock)
        assert found.payload_digest == build.payload_digest
        assert found.statement.slot is not None
        assert slot.read(_entry(row, "payload/tool-stats")).build_id == row.public_id
        program = tmp_path / customer.public_id
        program.write_bytes(_entry(row, "payload/tool-stats"))
        program.chmod(0o700)
        said = subprocess.run([program], capture_output=True, text=True, check=True).stderr
        assert said == f"{customer.public_id} {row.public_id} false hello\n"
    assert b"pkg:golang/example.com/words@v1.2.0" in build.sbom.encode()


def _entry(row: CustomerBuild, name: str) -> bytes:
    archive = ArchiveReader(io.BytesIO(kept_files.load(str(row.package.name))))
    return archive.read(next(entry for entry in archive.entries if entry.name == name))


def test_a_crash_anywhere_leaves_what_the_next_run_finishes(
    payload: PayloadBuild, acme: Customer, issuer: Key, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies at each of the places where something is written; then it is all done again."""

    class KilledError(BaseException):
        """Nothing catches it, as nothing catches a SIGKILL."""

    def kill(*_: object, **__: object) -> None:
        raise KilledError

    row = requests.request_build(payload, acme, at=clock())
    places: list[tuple[Any, str, Any, dict[str, Any]]] = [
        (customer_builds, "with_customer", customer_builds.embed, {}),
        (kept_files, "store", customer_builds.embed, {}),
        (claims.Claim, "finish", customer_builds.embed, {}),
        (issuing, "_signed", issuing.issue, {"signer": issuer}),
        (kept_files, "store", issuing.issue, {"signer": issuer}),
        (claims.Claim, "finish", issuing.issue, {"signer": issuer}),
    ]
    keys_seen = set()
    for module, name, work, more in places:
        if work is issuing.issue:
            assert customer_builds.embed(row.pk, clock=clock)
            row.refresh_from_db()
            keys_seen.add(row.build_key_public)
        with monkeypatch.context() as patch:
            patch.setattr(module, name, kill)
            with pytest.raises(KilledError):
                work(row.pk, clock=clock, **more)
        assert not work(row.pk, clock=clock, **more), "the dead worker's claim still holds"
        clock.forward(customer_builds.CLAIM)
    assert issuing.issue(row.pk, clock=clock, signer=issuer)
    row.refresh_from_db()
    assert len(keys_seen) == 1
    opened(row, issuer, clock)


def test_signing_again_gives_the_same_bytes(
    payload: PayloadBuild, acme: Customer, issuer: Key, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = requests.request_build(payload, acme, at=clock())
    customer_builds.embed(row.pk, clock=clock)
    made: list[bytes] = []
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(issuing, "_keep", lambda *given: made.append(given[2]))
            issuing.issue(row.pk, clock=clock, signer=issuer)
        clock.forward(timedelta(hours=1))
    assert made[0] == made[1]
    assert made


def test_two_workers_make_one_package(payload: PayloadBuild, acme: Customer, issuer: Key, clock: Clock) -> None:
    row = requests.request_build(payload, acme, at=clock())
    other = claims.take(CustomerBuild, row.pk, until=clock() + timedelta(minutes=2), at=clock())
    assert other is not None
    assert not customer_builds.embed(row.pk, clock=clock), "somebody else is at it"
    clock.forward(timedelta(minutes=3))
    assert customer_builds.embed(row.pk, clock=clock), "the other one died"
    assert not other.finish(build_key_public="its late answer"), "and cannot write any more"
    assert requests.request_build(payload, acme, at=clock()).pk == row.pk


@pytest.mark.parametrize("reviewers", [REVIEWERS[:1], []])
def test_nothing_is_signed_without_two_reviewers(
    acme: Customer, issuer: Key, clock: Clock, reviewers: list[Key]
) -> None:
    build = built(payload_row(console_logger()), clock)
    approve(build, reviewers)
    row = packaged(build, acme, issuer, clock)
    assert (row.state, row.sha256) == (BuildState.FAILED, "")
    assert "fewer than 2 reviewers" in row.log


def test_a_revoked_reviewers_signature_counts_no_more(acme: Customer, issuer: Key, clock: Clock) -> None:
    build = built(payload_row(console_logger()), clock)
    rows = approve(build, REVIEWERS)
    rows[0].revoked_at = clock()
    rows[0].save()
    assert "fewer than 2 reviewers" in packaged(build, acme, issuer, clock).log


def test_a_review_of_another_source_is_none(acme: Customer, issuer: Key, clock: Clock) -> None:
    build = built(payload_row(console_logger()), clock)
    approve(build, REVIEWERS, source_sha256="0" * 64)
    assert "another payload or source" in packaged(build, acme, issuer, clock).log


def test_a_payload_changed_in_the_storage_is_not_packaged(
    payload: PayloadBuild, acme: Customer, issuer: Key, clock: Clock
) -> None:
    _replace_file(str(payload.file.name), b"reads", b"steals")
    row = requests.request_build(payload, acme, at=clock())
    assert not customer_builds.embed(row.pk, clock=clock)
    row.refresh_from_db()
    assert row.state == BuildState.FAILED
    assert "the storage was changed or damaged" in row.log


def test_a_build_worker_that_lies_gets_no_signature(
    payload: PayloadBuild, acme: Customer, globex: Customer, issuer: Key, clock: Clock
) -> None:
    """The unsigned package is another payload's, another customer's, or brings statements of its own."""
    mine = requests.request_build(payload, acme, at=clock())
    other = requests.request_build(payload, globex, at=clock())
    for row in (mine, other):
        assert customer_builds.embed(row.pk, clock=clock)
        row.refresh_from_db()
    theirs = kept_files.load(customer_builds.unsigned_name(other.public_id, other.build_key_public))
    name = customer_builds.unsigned_name(mine.public_id, mine.build_key_public)
    kept_files.forget(name)
    kept_files.store(name, theirs)
    assert not issuing.issue(mine.pk, clock=clock, signer=issuer)
    mine.refresh_from_db()
    assert (mine.state, mine.sha256) == (BuildState.FAILED, "")
    assert "not the database's" in mine.log


def _replace_file(name: str, old: bytes, new: bytes) -> None:
    from plugins_registry.building import packing  # noqa: PLC0415

    data = kept_files.load(name)
    archive = ArchiveReader(io.BytesIO(data))
    files = [packing.pack(each.name, archive.read(each).replace(old, new) + b" ") for each in archive.entries]
    kept_files.forget(name)
    kept_files.store(name, packing.assemble(files))


def test_the_same_source_gives_the_same_payload_at_another_time(clock: Clock, db: None) -> None:
    first = built(payload_row(console_logger()), clock)
    clock.forward(timedelta(days=3))
    second = payload_row(console_logger() | {"tests/test_more.py": b"# a test is not part of the payload\n"})
    assert built(second, clock).payload_digest == first.payload_digest
    assert first.sbom == second.sbom
    assert first.second_build_matches is True
    assert Path(str(first.file.name)).name == Path(str(second.file.name)).name


def test_signing_inflates_a_payload_once_and_verifies_every_byte_of_it(
    payload: PayloadBuild, acme: Customer, issuer: Key, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a program of some MB costs is inflating it: checking before and after the signature does it once."""
    row = requests.request_build(payload, acme, at=clock())
    assert customer_builds.embed(row.pk, clock=clock)
    read: list[str] = []
    checked = ArchiveReader._checked

    def counted(self: ArchiveReader, entry: Any, write: Any) -> str:
        read.append(entry.name)
        return checked(self, entry, write)

    with monkeypatch.context() as patch:
        patch.setattr(ArchiveReader, "_checked", counted)
        assert issuing.issue(row.pk, clock=clock, signer=issuer)
    row.refresh_from_db()
    files = [file.name for file in opened(row, issuer, clock).files if file.name.startswith("payload/")]
    assert files and all(read.count(name) == 1 for name in files)


@pytest.mark.parametrize("data", [b"text that packs " * 500, secrets.token_bytes(40_000)], ids=["packed", "stored"])
def test_a_filled_program_is_the_same_as_one_that_was_filled_and_then_packed(data: bytes) -> None:
    program = data + slot.BLANK + data
    whole = packing.pack_program("payload/p", program)
    if data[:4] != b"text":
        whole = replace(whole, content=program, method=STORED)
    customer = slot.CustomerData("cus_1", "bld_1", "0" * 16, keys.to_text(bytes(32)))
    made = packing.filled(whole, program, slot.find(program), customer)
    archive = ArchiveReader(io.BytesIO(packing.assemble([made])))
    assert archive.read(archive.entries[0]) == slot.fill(program, customer)
