"""What somebody would try with a package, each by its name, and the check that stops it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from km_protocol.kmpkg import dsse, package, slot, statements
from km_protocol.kmpkg.archive_directory import read_directory
from km_protocol.kmpkg.limits import LIMITS
from km_protocol.kmpkg.provenance import Provenance
from km_protocol.kmpkg.trust import TrustPolicy
from km_protocol.kmpkg.verify import Exit, VerifyError, verify

from tests.protocol.signed_packages import (
    ANN,
    BEN,
    CUSTOMER,
    ISSUER,
    NOW,
    POLICY,
    PROGRAM,
    SOURCE_SHA256,
    STRANGER,
    Key,
    Maker,
    altered,
    packed,
    rows,
    unpacked,
)

RUNTIMES = pytest.mark.parametrize("runtime", ["python", "go"])
PROGRAM_NAME = "payload/checked"


def refused(data: bytes | Path, by: str, exit_code: Exit, policy: TrustPolicy = POLICY) -> str:
    """The error's code, after the check that said no and its exit code were compared."""
    with pytest.raises(VerifyError) as caught:
        verify(data, policy, at=NOW)
    error = caught.value
    assert (error.steps[-1].name, error.exit_code) == (by, exit_code), error.message
    return error.code


def signed_again(maker: Maker, **replaced: bytes) -> bytes:
    return maker.package(**{name: dsse.sign(data, [ISSUER]) for name, data in replaced.items()})


# --- bytes -------------------------------------------------------------------------------------------------------


def region(data: bytes, at: int) -> str:
    """What lies at a byte of an archive: a header, or the data of which file."""
    for entry in read_directory(io.BytesIO(data), LIMITS):
        if entry.offset <= at < entry.data_offset:
            return "header"
        if entry.data_offset <= at < entry.end:
            return entry.name.split("/")[0] if entry.name.startswith(("payload/", "overlay/")) else entry.name
    return "directory"


@RUNTIMES
def test_no_byte_of_a_package_can_be_changed(runtime: str) -> None:
    """Headers, names, payload, statements, signatures, overlay: a bit of every byte, another bit in the next.

    Deflate can say the same in other bits (docs/plugins/package.md): such a package holds the same files.
    """
    maker = Maker(runtime=runtime, program=b"\x7fELF code" + slot.BLANK + b"more code")
    data = maker.package()
    sound = verify(data, POLICY, at=NOW).files
    stopped: dict[str, set[Exit]] = {}
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        try:
            assert verify(bytes(flipped), POLICY, at=NOW).files == sound
        except VerifyError as error:
            stopped.setdefault(region(data, at), set()).add(error.exit_code)
    wanted = {"header", "directory", "payload", *(name for name in unpacked(data) if name.startswith("km/"))}
    assert stopped.keys() == wanted | ({"overlay"} if runtime == "python" else set())
    assert set.union(*stopped.values()) == {Exit.TAMPERED}  # the archive's checksums see it before any signature


@RUNTIMES
def test_no_byte_of_any_file_can_be_changed_and_packed_again(runtime: str) -> None:
    """With right checksums: whoever can write a file can write those too."""
    maker = Maker(runtime=runtime, program=b"\x7fELF code" + slot.BLANK + b"more code")
    files = maker.entries()
    for name, content in files.items():
        codes = set()
        for at in range(0, len(content), max(1, len(content) // 200)):
            flipped = bytearray(content)
            flipped[at] ^= 1 << at % 8
            with pytest.raises(VerifyError) as caught:
                verify(maker.packed({name: bytes(flipped)}), POLICY, at=NOW)
            codes.add(caught.value.exit_code)
        expected = {package.STATEMENT: {2}, package.PROVENANCE: {2}, package.REVIEW: {5}}
        assert codes == expected.get(name, {3})


@RUNTIMES
def test_a_package_cut_off_anywhere(runtime: str) -> None:
    data = Maker(runtime=runtime).package()
    for length in {0, 1, len(data) - 1, *range(0, len(data), 97)}:
        refused(data[:length], "archive", Exit.TAMPERED)


def test_a_file_with_another_packages_name(tmp_path: Path) -> None:
    data = Maker().package()
    for digest in (hashlib.sha256(data).hexdigest(), "3f9a0c41d2e8"):
        path = tmp_path / package.file_name("checked", digest)
        path.write_bytes(data)
        if digest == "3f9a0c41d2e8":
            assert refused(path, "archive", Exit.TAMPERED) == "package_hash_differs"
        else:
            verify(path, POLICY, at=NOW)


def test_bytes_before_and_after() -> None:
    data = Maker().package()
    assert refused(data + b"\0", "archive", Exit.TAMPERED) == "package_appended"
    assert refused(b"#!/bin/sh\n" + data, "archive", Exit.TAMPERED) == "package_prepended"


@pytest.mark.parametrize("spelling", [b"json", b"jSon"])
def test_two_manifests(spelling: bytes) -> None:
    """A second header with the manifest's name, or one that some systems take for it."""
    files = Maker().entries()
    second = packed({**files, "km/manifest.jsom": files[package.MANIFEST]}).replace(b"jsom", spelling)
    assert refused(second, "archive", Exit.TAMPERED) == "package_duplicate"


@pytest.mark.parametrize("name", ["payload/manifest.json", "payload/overlay/customer.json", "km/other.json", "x"])
def test_a_file_where_none_may_be(name: str) -> None:
    maker = Maker()
    assert refused(maker.packed({name: maker.manifest}), "layout", Exit.TAMPERED) == "package_layout"


# --- what runs ---------------------------------------------------------------------------------------------------


def test_a_changed_added_removed_or_renamed_file_of_the_payload() -> None:
    maker = Maker()
    for change in (
        {"payload/main.py": b"print('evil')\n"},
        {"payload/evil.py": b""},
        {"payload/site/library.py": None},
        {"payload/site/library.py": None, "payload/site/librarz.py": b"answer = 42\n"},
    ):
        assert refused(maker.packed(change), "payload", Exit.TAMPERED) == "statement_differs"


def test_a_changed_program_outside_its_slot() -> None:
    maker = Maker(runtime="go")
    program = maker.payload[PROGRAM_NAME]
    for at in (0, program.index(slot.MARKER) - 1, program.index(slot.MARKER) + slot.SIZE, len(program) - 1):
        changed = program[:at] + bytes([program[at] ^ 1]) + program[at + 1 :]
        assert refused(maker.packed({PROGRAM_NAME: changed}), "payload", Exit.TAMPERED) == "statement_differs"


def test_a_manifest_that_asks_for_more() -> None:
    maker = Maker()
    wider = maker.manifest.replace(b'"system": false', b'"system": true')
    assert refused(maker.package(MANIFEST=wider), "payload", Exit.TAMPERED) == "statement_differs"


@pytest.mark.parametrize("words", [{"version": "1.3.0"}, {"name": "another"}, {"manifest_sha256": "a" * 64}], ids=str)
def test_a_statement_that_names_another_plugin_than_the_manifest(words: dict[str, str]) -> None:
    assert refused(Maker(statement=words).package(), "payload", Exit.TAMPERED) == "statement_differs"


def test_another_bill_of_materials_or_none() -> None:
    maker = Maker()
    for sbom in (b"{}", None):
        assert refused(maker.package(SBOM=sbom), "payload", Exit.TAMPERED) == "statement_differs"
    assert refused(Maker(sbom=None).package(SBOM=b"{}"), "payload", Exit.TAMPERED) == "statement_differs"
    verify(Maker(sbom=None).package(), POLICY, at=NOW)


def test_a_changed_added_or_removed_file_of_the_overlay() -> None:
    maker = Maker()
    other = msgspec.structs.replace(maker.customer, customer_id="cus_other").encode()
    for change in ({package.CUSTOMER: other}, {"overlay/evil.json": b"{}"}, {package.CUSTOMER: None}):
        assert refused(maker.packed(change), "overlay", Exit.TAMPERED) == "statement_differs"


def test_an_overlay_that_could_be_executed() -> None:
    maker = Maker()
    data = packed(maker.entries(), package.CUSTOMER)
    assert refused(data, "layout", Exit.TAMPERED) == "package_mode"


def test_a_flood_in_the_overlay() -> None:
    maker = Maker()
    flood = {"overlay/flood": bytes(range(256)) * 4100}
    assert refused(maker.packed(flood), "overlay", Exit.TAMPERED) == "overlay_too_large"


# --- the slot, signed for by an issuer who was deceived or robbed -------------------------------------------------


def slotted(program: bytes, **place: object) -> bytes:
    """A package of `program` as it is, with a statement about its slot that says `place`."""
    maker = Maker(runtime="go")
    assert maker.place
    said = msgspec.to_builtins(maker.place) | place
    statement = altered(maker.package_statement(), slot=said)
    return maker.packed({package.STATEMENT: dsse.sign(statement, [ISSUER]), PROGRAM_NAME: program})


def test_a_slot_that_was_moved() -> None:
    filled = Maker(runtime="go").payload[PROGRAM_NAME]
    at = filled.index(slot.MARKER)
    moved = filled[: at - 1] + filled[at : at + slot.SIZE] + filled[at - 1 : at] + filled[at + slot.SIZE :]
    refused(slotted(moved), "payload", Exit.TAMPERED)
    refused(slotted(moved, offset=at - 1), "payload", Exit.TAMPERED)
    refused(slotted(filled, offset=at - 1), "payload", Exit.TAMPERED)


def test_a_second_slot_or_a_second_marker() -> None:
    filled = Maker(runtime="go").payload[PROGRAM_NAME]
    for more in (slot.BLANK, slot.MARKER):
        blanked = hashlib.sha256(PROGRAM + more).hexdigest()
        assert refused(slotted(filled + more, blanked_sha256=blanked), "payload", Exit.TAMPERED) == "invalid_slot"
        assert refused(slotted(more + filled), "payload", Exit.TAMPERED) == "invalid_slot"


def test_a_slot_that_is_blank_or_holds_code() -> None:
    filled = Maker(runtime="go").payload[PROGRAM_NAME]
    end = filled.index(slot.MARKER) + slot.SIZE
    for program in (PROGRAM, filled[: end - 8] + b"\x90" * 8 + filled[end:]):
        assert refused(slotted(program), "payload", Exit.TAMPERED) == "invalid_slot"


def test_a_statement_that_sees_the_slot_elsewhere() -> None:
    filled = Maker(runtime="go").payload[PROGRAM_NAME]
    assert refused(slotted(filled, path="other"), "payload", Exit.TAMPERED) == "slot_misplaced"
    assert refused(slotted(filled, blanked_sha256="a" * 64), "payload", Exit.TAMPERED) == "statement_differs"
    assert refused(slotted(filled, size=8192), "signatures", Exit.SIGNATURE) == "statement_invalid"
    assert refused(slotted(filled, offset=-1), "signatures", Exit.SIGNATURE) == "statement_invalid"
    python = Maker(statement={"slot": {"path": "main.py", "offset": 0, "size": 4096, "blanked_sha256": "a" * 64}})
    assert refused(python.package(), "payload", Exit.TAMPERED) == "slot_misplaced"


@RUNTIMES
@pytest.mark.parametrize(
    "change", [{"customer_id": "cus_other"}, {"build_id": "bld_other"}, {"build_key": "A" * 43}], ids=str
)
def test_the_customer_within_is_the_one_signed_for(runtime: str, change: dict[str, str]) -> None:
    by = "payload" if runtime == "go" else "overlay"
    policy = TrustPolicy(POLICY.issuers, POLICY.reviewers)
    data = Maker(runtime=runtime, statement=change).package()
    assert refused(data, by, Exit.TAMPERED, policy) == "statement_differs"


def test_a_package_that_names_another_issuer_than_signed_it() -> None:
    other = Key("another issuer")
    policy = TrustPolicy({**POLICY.issuers, other.keyid: other.public}, POLICY.reviewers, 2, CUSTOMER)
    maker = Maker()
    data = maker.package(STATEMENT=dsse.sign(maker.package_statement(), [other]))
    assert refused(data, "overlay", Exit.TAMPERED, policy) == "statement_differs"


def test_a_package_that_is_nobodys() -> None:
    maker = Maker()
    statement = altered(maker.package_statement(), overlay_digest=package.overlay_digest([]))
    data = maker.package(STATEMENT=dsse.sign(statement, [ISSUER]), CUSTOMER=None)
    assert refused(data, "overlay", Exit.TAMPERED) == "customer_missing"


# --- signatures --------------------------------------------------------------------------------------------------


def test_a_package_nobody_signed() -> None:
    maker = Maker()
    development = packed({name: data for name, data in maker.entries().items() if name.startswith("payload/")}
                         | {package.MANIFEST: maker.manifest})  # fmt: skip
    assert refused(development, "signatures", Exit.SIGNATURE) == "package_unsigned"
    assert refused(maker.package(STATEMENT=None), "signatures", Exit.SIGNATURE) == "package_unsigned"
    assert refused(maker.package(PROVENANCE=None), "signatures", Exit.SIGNATURE) == "provenance_missing"


def test_an_unknown_key_signed() -> None:
    assert refused(Maker(issuer=STRANGER).package(), "signatures", Exit.SIGNATURE) == "signature_unknown_key"


def test_a_reviewers_key_signs_packages() -> None:
    assert refused(Maker(issuer=ANN).package(), "signatures", Exit.SIGNATURE) == "signature_unknown_key"


def test_a_signature_over_another_payload() -> None:
    maker = Maker()
    document = json.loads(dsse.sign(maker.package_statement(), [ISSUER]))
    forged = altered(maker.package_statement(), customer_id="cus_other")
    document["payload"] = base64.b64encode(forged).decode()
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert refused(maker.package(STATEMENT=data), "signatures", Exit.SIGNATURE) == "signature_invalid"


def test_a_statement_signed_as_another_type() -> None:
    maker = Maker()
    data = dsse.sign(maker.package_statement(), [ISSUER], payload_type="application/json")
    assert refused(maker.package(STATEMENT=data), "signatures", Exit.SIGNATURE) == "payload_type"


def test_the_issuers_own_provenance_passed_off_as_the_packages_statement() -> None:
    maker = Maker()
    entries = maker.entries()
    swapped = maker.package(STATEMENT=entries[package.PROVENANCE], PROVENANCE=entries[package.STATEMENT])
    assert refused(swapped, "signatures", Exit.SIGNATURE) == "statement_invalid"


@pytest.mark.parametrize(
    "respell",
    [
        lambda data: json.dumps(json.loads(data)).encode(),
        lambda data: json.dumps(dict(reversed(json.loads(data).items())), separators=(",", ":")).encode(),
        lambda data: data.replace(b"checked", b"check\\u0065d"),
        lambda data: data[:-1] + b',"subject":[]}',
        lambda data: data.replace(b'"name":"checked"', b'"name":"checked","name":"checked"'),
        lambda data: data + b"\n",
        lambda data: data[:-1] + b',"zebra":1}',
        lambda data: altered(data, zebra=1),
        lambda data: altered(data, slot="none"),
        lambda data: altered(data, platform="windows"),
        lambda data: altered(data, expires_at="2026-12-22T11:00:00+00:00"),
        lambda data: altered(data, customer_id="../cus"),
        lambda data: data.replace(b'"subject":[', b'"subject":[{"digest":{"sha256":"' + b"a" * 64 + b'"},"name":"x"},'),
        lambda data: data.replace(b"Statement/v1", b"Statement/v0.1"),
        lambda data: data.replace(b"ai/package/v1", b"ai/review/v1"),
        lambda _: b"[]",
    ],
)  # fmt: skip
def test_a_signed_statement_in_another_form(respell: Callable[[bytes], bytes]) -> None:
    """Signed by the issuer all the same: spaces, order, escapes, a key twice, a field nobody knows, wrong values."""
    maker = Maker()
    data = signed_again(maker, STATEMENT=respell(maker.package_statement()))
    assert refused(data, "signatures", Exit.SIGNATURE) == "statement_invalid"


def test_a_statement_beyond_any_size() -> None:
    flood = bytes(range(256)) * 4000
    for name, by, code in (("STATEMENT", "signatures", Exit.SIGNATURE), ("REVIEW", "review", Exit.REVIEW)):
        assert refused(Maker().package(**{name: flood}), by, code) == "envelope_too_large"


# --- parts of other packages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "by", "exit_code"),
    [
        ("STATEMENT", "payload", Exit.TAMPERED),
        ("PROVENANCE", "payload", Exit.TAMPERED),
        ("REVIEW", "review", Exit.REVIEW),
        ("MANIFEST", "payload", Exit.TAMPERED),
    ],
)
def test_a_part_of_another_sound_package(part: str, by: str, exit_code: Exit) -> None:
    other = Maker(name="other", files={"main.py": b"print('also reviewed')\n"})
    swapped = other.entries()[getattr(package, part)]
    refused(Maker().package(**{part: swapped}), by, exit_code)


def test_statements_swapped_between_two_packages_both_ways() -> None:
    own, other = Maker(), Maker(files={"main.py": b"print('also reviewed')\n"})
    names = [package.STATEMENT, package.PROVENANCE, package.REVIEW]
    for into, source in ((own, other), (other, own)):
        swapped = {name: source.entries()[name] for name in names}
        assert refused(into.packed(swapped), "payload", Exit.TAMPERED) == "statement_differs"


def test_another_customers_statement_and_overlay_in_my_package_are_the_other_customers() -> None:
    other = Maker(customer_id="cus_other").entries()
    taken = {name: other[name] for name in (package.STATEMENT, package.CUSTOMER)}
    assert refused(Maker().packed(taken), "customer", Exit.CUSTOMER) == "wrong_customer"


@RUNTIMES
def test_another_customers_package(runtime: str) -> None:
    data = Maker(runtime=runtime, customer_id="cus_other").package()
    assert refused(data, "customer", Exit.CUSTOMER) == "wrong_customer"


# --- the review --------------------------------------------------------------------------------------------------


def test_a_package_nobody_reviewed() -> None:
    assert refused(Maker().package(REVIEW=None), "review", Exit.REVIEW) == "review_missing"


def test_a_review_of_another_digest() -> None:
    maker = Maker()
    other = Maker(files={"main.py": b""}).review_statement()
    data = maker.package(REVIEW=dsse.sign(other, [ANN, BEN]))
    assert refused(data, "review", Exit.REVIEW) == "review_differs"


def test_every_online_key_and_the_build_server_are_stolen() -> None:
    """The issuer signs for changed code; what the reviewers signed stays."""
    stolen = Maker(files={"main.py": b"print('evil')\n"})
    honest = Maker().entries()[package.REVIEW]
    assert refused(stolen.package(REVIEW=honest), "review", Exit.REVIEW) == "review_differs"


def test_the_issuer_starts_another_file_of_the_reviewed_payload() -> None:
    """The manifest is not in the payload's digest, so the review names it."""
    maker = Maker()
    other = maker.manifest.replace(b'"main.py"', b'"site/library.py"')
    statement = altered(maker.package_statement(), manifest_sha256=hashlib.sha256(other).hexdigest())
    data = maker.package(MANIFEST=other, STATEMENT=dsse.sign(statement, [ISSUER]))
    assert refused(data, "review", Exit.REVIEW) == "review_differs"


@pytest.mark.parametrize("reviewers", [(ANN,), (BEN,), (ANN, STRANGER), (ANN, ISSUER)], ids=len)
def test_one_of_two_reviewers_is_missing(reviewers: tuple[Key, ...]) -> None:
    assert refused(Maker(reviewers=reviewers).package(), "review", Exit.REVIEW) == "signatures_missing"


def test_one_reviewer_signs_twice() -> None:
    maker = Maker()
    document = json.loads(maker.entries()[package.REVIEW])
    document["signatures"] = [document["signatures"][0]] * 2
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert refused(maker.package(REVIEW=data), "review", Exit.REVIEW) == "envelope_invalid"


def test_the_issuer_reviews() -> None:
    assert refused(Maker(reviewers=(ISSUER,)).package(), "review", Exit.REVIEW) == "signature_unknown_key"


@pytest.mark.parametrize(
    "words",
    [
        {"name": "another"},
        {"version": "1.1.0"},
        {"source_sha256": "a" * 64},
        {"manifest_sha256": "a" * 64},
        {"permissions": {"network": False, "filesystem": False, "system": False, "api_key": False}},
        {"decisions": ["security"]},
        {"decisions": ["code", "code"]},
        {"decisions": []},
    ],
    ids=str,
)
def test_a_review_of_something_else_or_half_a_review(words: dict[str, object]) -> None:
    code = refused(Maker(review=words).package(), "review", Exit.REVIEW)
    assert code == ("statement_invalid" if "decisions" in words else "review_differs")


def test_a_package_built_from_another_source_or_from_two() -> None:
    maker = Maker()
    told = statements.read(maker.provenance(), Provenance)
    (source,) = told.predicate.build_definition.resolved_dependencies
    for resources in ([msgspec.structs.replace(source, name="other")], [source, source]):
        definition = msgspec.structs.replace(told.predicate.build_definition, resolved_dependencies=resources)
        changed = msgspec.structs.replace(told.predicate, build_definition=definition)
        data = signed_again(maker, PROVENANCE=statements.write(told.payload_digest, changed))
        assert refused(data, "review", Exit.REVIEW) == "review_differs"
    assert source.digest.sha256 == SOURCE_SHA256


# --- time and blocks ---------------------------------------------------------------------------------------------


def test_an_expired_package_and_one_from_the_future() -> None:
    past = Maker(statement={"expires_at": "2026-11-22T11:59:59Z"})
    future = Maker(statement={"built_at": "2026-11-22T12:05:01Z"})
    assert refused(past.package(), "expiry", Exit.EXPIRED) == "package_expired"
    assert refused(future.package(), "expiry", Exit.EXPIRED) == "package_not_yet_valid"


@RUNTIMES
def test_a_blocked_package_and_a_blocked_payload(runtime: str) -> None:
    maker = Maker(runtime=runtime)
    data = maker.package()
    for digest in (hashlib.sha256(data).hexdigest(), maker.payload_digest):
        policy = TrustPolicy(POLICY.issuers, POLICY.reviewers, 2, CUSTOMER, frozenset({digest, "a" * 64}))
        assert refused(data, "blocklist", Exit.BLOCKED, policy) == "package_blocked"


def test_the_digest_of_an_overlay_is_no_digest_of_a_payload() -> None:
    """The listings have titles of their own: equal files do not make equal digests."""
    files = rows({"payload/a": b"x"}, "payload/")
    assert package.overlay_digest(files) != package.payload_digest(package.payload_listing(files))
