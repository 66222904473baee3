"""`plugins verify`: the exit code says which check refused, offline, in words or in JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from km_client import paths
from km_protocol.kmpkg import trust
from km_protocol.kmpkg.trust import TrustPolicy

from tests.client.commands.conftest import Km
from tests.protocol.signed_packages import ANN, BEN, CUSTOMER, ISSUER, POLICY, STRANGER, Maker

ALWAYS = {"built_at": "2020-01-01T00:00:00Z", "expires_at": "2999-01-01T00:00:00Z"}
PAST = {"built_at": "2020-01-01T00:00:00Z", "expires_at": "2020-01-02T00:00:00Z"}
Written = Callable[..., str]


@pytest.fixture
def package(tmp_path: Path) -> Written:
    """The path of a package: `package(Maker(…), {"payload/main.py": b"…"})`."""

    def write(maker: Maker, replaced: dict[str, bytes | None] | None = None) -> str:
        path = tmp_path / "given.kmpkg"
        path.write_bytes(maker.packed(replaced))
        return str(path)

    return write


@pytest.fixture
def trusted(tmp_path: Path) -> Callable[[TrustPolicy], str]:
    def write(policy: TrustPolicy) -> str:
        path = tmp_path / "trust.json"
        path.write_bytes(trust.write(policy))
        return str(path)

    return write


def sound(**changes: object) -> Maker:
    return Maker(statement={**ALWAYS, **changes})


def cached(policy: TrustPolicy, within: str = "") -> None:
    """As a refresh leaves it."""
    place = paths.data_dir() / "registry" / within
    place.mkdir(parents=True)
    (place / "trust.json").write_bytes(trust.write(policy))


def test_a_sound_package_is_told_with_its_signers(
    km: Km, package: Written, trusted: Callable[[TrustPolicy], str]
) -> None:
    done = km("plugins", "verify", package(sound()), "--trust", trusted(POLICY))
    assert (done.code, done.err) == (0, "")
    assert "checked 1.2.0 is sound" in done.out
    for word in (CUSTOMER, ISSUER.keyid, ANN.keyid, BEN.keyid, sound().payload_digest):
        assert word in done.out
    assert "archive" not in done.out


def test_verbose_prints_every_check(km: Km, package: Written, trusted: Callable[[TrustPolicy], str]) -> None:
    done = km("plugins", "verify", package(sound()), "--trust", trusted(POLICY), "--verbose")
    lines = [line.split()[:2] for line in done.out.splitlines()[:10]]
    names = "archive manifest layout signatures payload overlay review customer expiry blocklist"
    assert lines == [["ok", name] for name in names.split()]


@pytest.mark.parametrize(
    ("maker", "replaced", "code", "step"),
    [
        (Maker(issuer=STRANGER, statement=ALWAYS), {}, 2, "signatures"),
        (sound(), {"payload/main.py": b"evil"}, 3, "payload"),
        (Maker(customer_id="cus_other", statement=ALWAYS), {}, 4, "customer"),
        (Maker(reviewers=(ANN,), statement=ALWAYS), {}, 5, "review"),
        (Maker(statement=PAST), {}, 6, "expiry"),
        (Maker(name="blocked", statement=ALWAYS, files={"main.py": b"blocked"}), {}, 7, "blocklist"),
    ],
    ids=["signature", "tampered", "customer", "review", "expired", "blocked"],
)
def test_each_refusal_has_its_exit_code(
    maker: Maker,
    replaced: dict[str, bytes | None],
    code: int,
    step: str,
    km: Km,
    package: Written,
    trusted: Callable[[TrustPolicy], str],
) -> None:
    blocked = Maker(name="blocked", files={"main.py": b"blocked"}).payload_digest
    words = [
        "plugins",
        "verify",
        package(maker, replaced),
        "--trust",
        trusted(replace(POLICY, blocked=frozenset({blocked}))),
    ]
    done = km(*words, "--verbose")
    assert done.code == code
    assert done.err.startswith("error: ")
    assert done.out.splitlines()[-1].split()[:2] == ["FAILED", step]
    told = km(*words, "--json")
    answer = json.loads(told.out)
    assert (told.code, told.err, answer["ok"], answer["exit_code"]) == (code, "", False, code)
    assert answer["message"] in done.err
    assert [found["name"] for found in answer["steps"] if not found["ok"]] == [step]


def test_json_tells_a_sound_package_in_one_object(
    km: Km, package: Written, trusted: Callable[[TrustPolicy], str]
) -> None:
    path = package(sound())
    answer = json.loads(km("plugins", "verify", path, "--trust", trusted(POLICY), "--json").out)
    assert (answer["ok"], answer["exit_code"], len(answer["steps"])) == (True, 0, 10)
    assert answer["sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert "build_key" not in json.dumps(answer)


def test_a_customer_named_here_goes_before_the_trust_files(
    km: Km, package: Written, trusted: Callable[[TrustPolicy], str]
) -> None:
    words = ["plugins", "verify", package(sound()), "--trust", trusted(POLICY)]
    assert km(*words, "--customer", "cus_other").code == 4
    assert km(*words, "--customer", CUSTOMER).code == 0


def test_the_trust_of_the_last_refresh_is_used(km: Km, package: Written) -> None:
    cached(POLICY, "9c41")
    assert km("plugins", "verify", package(sound())).code == 0
    assert km("plugins", "verify", package(Maker(customer_id="cus_other", statement=ALWAYS))).code == 4


def test_of_several_customers_one_must_be_named(km: Km, package: Written) -> None:
    cached(POLICY, "9c41")
    cached(replace(POLICY, customer_id="cus_other"), "77aa")
    done = km("plugins", "verify", package(sound()))
    assert done.code == 1
    assert "several customers" in done.err
    assert km("plugins", "verify", package(sound()), "--customer", CUSTOMER).code == 0
    assert km("plugins", "verify", package(sound()), "--customer", "cus_nobody").code == 1


def test_without_trust_or_a_package_nothing_is_said_about_it(km: Km, package: Written, tmp_path: Path) -> None:
    done = km("plugins", "verify", package(sound()))
    assert (done.code, done.out) == (1, "")
    assert "--trust FILE" in done.err
    cached(POLICY)
    assert km("plugins", "verify", str(tmp_path / "none.kmpkg")).code == 1
    assert km("plugins", "verify", str(tmp_path)).code == 1
    assert km("plugins", "verify", package(sound()), "--trust", str(tmp_path / "none")).code == 1


def test_a_trust_file_that_says_nonsense_is_named(km: Km, package: Written, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    done = km("plugins", "verify", package(sound()), "--trust", str(tmp_path / "bad.json"))
    assert done.code == 1
    assert "bad.json" in done.err


def test_what_a_package_says_of_itself_cannot_write_to_the_terminal(
    km: Km, package: Written, trusted: Callable[[TrustPolicy], str]
) -> None:
    nasty = Maker().manifest.replace(b"1.2.0", b"1.2.0\\u001b[2J")
    done = km(
        "plugins", "verify", package(sound(), {"km/manifest.json": nasty}), "--trust", trusted(POLICY), "--verbose"
    )
    assert done.code == 3
    assert "\x1b" not in done.out + done.err
