"""Attack a plugin's signed package in every way, and show which check refuses each.

    scripts/plugin/demo-security-model.sh --plugin console-logger
    scripts/plugin/demo-security-model.sh --plugin ./my-plugin --keep /tmp/attacked

NAME is a plugin in `plugins/`, DIR any plugin's directory. The plugin is really built; the keys are made for this run.
`--keep` leaves the packages and `trust.json` for `verify-plugin.sh PACKAGE --trust trust.json --verbose`. Exits with 0
only when the sound package is accepted and every other one is refused by the check that is meant to.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from km_plugin_sdk.errors import PluginError
from km_protocol.errors import ProtocolError
from km_protocol.kmpkg import dsse, package, trust
from km_protocol.kmpkg.trust import TrustPolicy
from km_protocol.kmpkg.verify import Exit, VerifyError, verify

from scripts.plugin.demo_packages import VALID, DemoKey, DemoRegistry, payload_of

ROOT = Path(__file__).resolve().parents[2]
CUSTOMER, OTHER = "cus_demo", "cus_somebodyelse"
BAD_INPUT = 1


@dataclass(frozen=True)
class Attack:
    """`data` is the package as the attacker made it; `refused` the exit code it must get."""

    name: str
    data: bytes
    refused: Exit
    blocked: frozenset[str] = frozenset()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", required=True, metavar="NAME|DIR", help="the plugin to attack")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the packages and trust.json there")
    args = parser.parse_args(arguments)
    now = datetime.now(UTC)
    try:
        registry = DemoRegistry(payload_of(find(args.plugin)), now)
        attacks = list(attack_all(registry))
    except (PluginError, ProtocolError) as error:
        print(f"error: {error}" + (f"\n  hint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return BAD_INPUT
    with _directory(args.keep) as directory:
        return _show(registry, attacks, directory, now)


def find(plugin: str) -> Path:
    """A directory, or the name of one in `plugins/`. A directory that is none is told by whoever reads its manifest."""
    return Path(plugin) if Path(plugin).is_dir() else ROOT / "plugins" / plugin


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="km-demo-") as scratch:
        yield Path(scratch)


def attack_all(registry: DemoRegistry) -> Iterator[Attack]:
    """The package itself, which must pass, and what somebody could do to it or instead of it."""
    sound = registry.entries(CUSTOMER)
    yield Attack("nothing: the package as it was made", registry.packed(sound), Exit.OK)
    yield from _changed_files(registry, sound)
    yield from _other_signatures(registry, sound)
    yield from _sound_but_not_here(registry, sound)


def _changed_files(registry: DemoRegistry, sound: dict[str, bytes]) -> Iterator[Attack]:
    start = package.PAYLOAD + registry.manifest.entry
    tampered = {**sound, start: _one_bit(sound[start])}
    yield Attack("one bit of the program changed", registry.packed(tampered), Exit.TAMPERED)
    added = {**sound, "payload/added.py": b"import os\n"}
    yield Attack("a file added to the payload", registry.packed(added), Exit.TAMPERED)
    widened = {**sound, package.MANIFEST: _widened(sound[package.MANIFEST])}
    yield Attack("the manifest's permissions widened", registry.packed(widened), Exit.TAMPERED)
    yield Attack("the package cut off", registry.packed(sound)[:-100], Exit.TAMPERED)
    other = DemoRegistry(_evil(registry), registry.at, registry.issuer, registry.reviewers).entries(CUSTOMER)
    swapped = {name: other[name] for name in (package.STATEMENT, package.PROVENANCE, package.REVIEW)}
    yield Attack("another package's statements swapped in", registry.packed({**sound, **swapped}), Exit.TAMPERED)


def _other_signatures(registry: DemoRegistry, sound: dict[str, bytes]) -> Iterator[Attack]:
    unsigned = {name: data for name, data in sound.items() if name != package.STATEMENT}
    yield Attack("the signature taken out", registry.packed(unsigned), Exit.SIGNATURE)
    stranger = DemoRegistry(registry.files, registry.at, DemoKey(), registry.reviewers)
    yield Attack("signed with a stranger's key", stranger.package(CUSTOMER), Exit.SIGNATURE)
    half = registry.entries(CUSTOMER, reviewers=1)
    yield Attack("signed by one of two reviewers", registry.packed(half), Exit.REVIEW)
    unreviewed = {name: data for name, data in sound.items() if name != package.REVIEW}
    yield Attack("never reviewed", registry.packed(unreviewed), Exit.REVIEW)
    thief = DemoRegistry(_evil(registry), registry.at, registry.issuer, registry.reviewers)
    stolen = {package.REVIEW: sound[package.REVIEW]}
    yield Attack("the issuer's key stolen, code changed", thief.package(CUSTOMER, replaced=stolen), Exit.REVIEW)
    forged = {package.REVIEW: dsse.sign(thief.review(), [registry.issuer, DemoKey()])}
    yield Attack("the same, with a forged review", thief.package(CUSTOMER, replaced=forged), Exit.REVIEW)


def _sound_but_not_here(registry: DemoRegistry, sound: dict[str, bytes]) -> Iterator[Attack]:
    yield Attack("another customer's package", registry.package(OTHER), Exit.CUSTOMER)
    late = registry.entries(CUSTOMER, built=registry.at - VALID - timedelta(seconds=1))
    yield Attack("an expired package", registry.packed(late), Exit.EXPIRED)
    blocked = frozenset({registry.payload_digest})
    yield Attack("a blocked payload", registry.packed(sound), Exit.BLOCKED, blocked)


def _widened(manifest: bytes) -> bytes:
    """With every permission; the manifest is JSON text, and stays valid."""
    document = json.loads(manifest)
    document["permissions"] = dict.fromkeys(("network", "filesystem", "system", "api_key"), True)
    return json.dumps(document).encode()


def _evil(registry: DemoRegistry) -> dict[str, bytes]:
    """The plugin with other code, whose customer slot is where it was."""
    start = package.PAYLOAD + registry.manifest.entry
    return {**registry.files, start: _one_bit(registry.files[start])}


def _one_bit(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def _show(registry: DemoRegistry, attacks: Sequence[Attack], directory: Path, now: datetime) -> int:
    policy = registry.trust(CUSTOMER)
    (directory / "trust.json").write_bytes(trust.write(policy))
    manifest = registry.manifest
    print(f"{manifest.name} {manifest.version}, payload digest {registry.payload_digest}\n")
    print(f"{'attack':40}  {'exit':4}  {'by':10}  what is said")
    passed = [_try(attack, number, registry, directory, now) for number, attack in enumerate(attacks)]
    refused = f"{sum(passed[1:])} of {len(attacks) - 1} attacks refused"
    print(f"\nThe sound package was {'accepted' if passed[0] else 'REFUSED'}; {refused}.")
    return 0 if all(passed) else 1


def _try(attack: Attack, number: int, registry: DemoRegistry, directory: Path, now: datetime) -> bool:
    """Whether what must happen does; prints a line either way."""
    path = directory / f"{number:02}-{'-'.join(attack.name.replace(':', '').replace(',', '').split())}.kmpkg"
    path.write_bytes(attack.data)
    code, step, words = _verdict(path, registry.trust(CUSTOMER, blocked=attack.blocked), now)
    is_right = code is attack.refused
    wrong = "" if is_right else f"   EXPECTED {int(attack.refused)}"
    print(f"{attack.name:40}  {int(code):4}  {step:10}  {words}{wrong}")
    return is_right


def _verdict(path: Path, policy: TrustPolicy, now: datetime) -> tuple[Exit, str, str]:
    try:
        verify(path, policy, at=now)
    except VerifyError as error:
        return error.exit_code, error.steps[-1].name, error.message
    return Exit.OK, "-", "accepted"


if __name__ == "__main__":
    sys.exit(main())
