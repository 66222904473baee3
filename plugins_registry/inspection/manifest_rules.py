"""The manifest: every problem of it at once, and what it asks for that its predecessor did not.

An invalid manifest is never reviewed; what was widened always is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from km_protocol.errors import ManifestError
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg.manifest import Manifest

from plugins_registry.inspection.findings import Finding, Severity, finding
from plugins_registry.inspection.source_tree import SourceTree

CHECK = "manifest"
_FILE = manifests.FILE_NAME


def check(tree: SourceTree, previous: SourceTree | None, expected: tuple[str, str] | None) -> Iterator[Finding]:
    """`expected` are the name and the version that were submitted."""
    try:
        manifest = read(tree)
    except FileNotFoundError:
        yield _at("missing", "critical", "is missing", "`km-client plugin new` makes a plugin that has one")
        return
    except ManifestError as error:
        for problem in error.problems:
            yield _at("invalid", "critical", f"{problem.path}: {problem.message}", problem.hint, problem.path)
        return
    if expected and expected != (manifest.name, str(manifest.version)):
        message = f"is of `{manifest.name}` {manifest.version}; `{expected[0]}` {expected[1]} was submitted"
        yield _at("other-plugin", "critical", message, "submit it again", "name")
    yield from _semantics(tree, manifest)
    if previous is not None:
        yield from _widened(manifest, previous)


def read(tree: SourceTree) -> Manifest:
    """Raises `FileNotFoundError`, `ManifestError`."""
    if not tree.has(_FILE):
        raise FileNotFoundError(_FILE)
    return manifests.parse(tree.read(_FILE, manifests.MAX_BYTES + 1))


def _semantics(tree: SourceTree, manifest: Manifest) -> Iterator[Finding]:
    """What is well-formed and cannot be meant."""
    if manifest.runtime == "python" and not tree.has(manifest.entry):
        yield _at("entry-missing", "critical", f"`entry` is `{manifest.entry}`, which is not there", text="entry")
    if manifest.runtime == "go" and tree.has(manifest.entry):
        message = f"`entry` is `{manifest.entry}`, which the build makes, and it is there already"
        yield _at("entry-exists", "high", message, "leave the program out", "entry")
    for flag in ("customer_specific", "digital_signature", "jwt_validation"):
        if not getattr(manifest.security, flag):
            yield _at("security-off", "high", f"`security.{flag}` is false", "published builds have it", flag)
    if manifest.build.debug_symbols:
        yield _at("debug-symbols", "low", "`build.debug_symbols` is true; published builds have none", text="debug")
    if manifest.permissions.api_key:
        message = "asks for the customer's API key, which opens everything that customer has"
        yield _at("asks-for-api-key", "high", message, "a plugin's own token is enough for the API", "api_key")
    if manifest.permissions.system and manifest.permissions.network:
        yield _at("system-and-network", "medium", "asks for both `system` and `network`", text="system network")


def _widened(manifest: Manifest, previous: SourceTree) -> Iterator[Finding]:
    try:
        before = read(previous)
    except (FileNotFoundError, ManifestError):
        yield _at("no-predecessor", "info", "the version before cannot be read, so nothing is compared with it")
        return
    old, new = asdict(before.permissions), asdict(manifest.permissions)
    for name in (name for name, asked in new.items() if asked and not old[name]):
        message = f"asks for `{name}`, which {before.version} did not"
        yield _at("permission-widened", "medium", message, "reviewers ask why", name)
    if manifest.runtime != before.runtime:
        yield _at("runtime-changed", "medium", f"is now in `{manifest.runtime}`", text="runtime")


def _at(rule: str, severity: Severity, message: str, hint: str = "", text: str = "") -> Finding:
    return finding(CHECK, f"manifest-{rule}", severity, message, hint, file=_FILE, text=text or rule)
