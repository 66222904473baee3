"""Send a plugin's source to the registry, and say first what is sent.

    packed = submission.packed(Path("slow-tools"))     Packed(name="slow-tools", files=("go.mod", "main.go", …), …)
    submission.send(packed)                            Received({"id": "rev_…", "state": "submitted", …})

What it is built from is there before it is sent: a Go plugin's modules, if need be by `vendoring`, a Python one's pins.

The archive is the one form the server reads: manifest and sources, without what is hidden (`.git`, `.venv`, `.env`),
caches, `dist` and environments. It is read back strictly before it is sent, so what the server would refuse is refused
here. The same files are the same bytes, and the same submission, however often they are sent.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from km_plugin_sdk.project import ProjectError
from km_plugin_sdk.walking import plain_files
from km_protocol.kmpkg import pins
from km_protocol.kmpkg.archive_writer import Member, write_archive
from km_protocol.kmpkg.manifest import FILE_NAME, Manifest, parse
from km_protocol.kmpkg.source_archive import DEPENDENCIES, MEDIA_TYPE, SOURCE_LIMITS, is_left_out, open_source

from km_client import config, credentials
from km_client.agent.api import Answer, Api, UnreachableError
from km_client.errors import ClientError
from km_client.registry import vendoring

SHOWN_FILES = 40
_NO_SCOPE = (
    "a laptop's key cannot submit: have `manage.py issue_key --scope plugins:submit` make one, and set KM_API_KEY to it"
)


@dataclass(frozen=True, slots=True)
class Packed:
    """What is sent. `permissions` are those the manifest asks for.

    `is_vendored_here`: `vendor/` was made for this archive, and may not be what lies in the author's directory.
    """

    name: str
    version: str
    permissions: tuple[str, ...]
    files: tuple[str, ...]
    sha256: str
    archive: bytes
    is_vendored_here: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "permissions": list(self.permissions),
            "files": list(self.files),
            "vendored_here": self.is_vendored_here,
            "size": len(self.archive),
            "sha256": self.sha256,
        }


class Received(NamedTuple):
    """The submission as the server tells it."""

    answer: dict[str, Any]

    def in_words(self) -> list[str]:
        said = self.answer
        first = "Submitted" if said.get("created") else "This very source was submitted before:"
        place = said.get("place_in_queue")
        lines = [
            f"{first} {said.get('plugin')} {said.get('version')}, revision {said.get('revision')} ({said.get('id')})",
            f"  state: {str(said.get('state')).replace('_', ' ')}" + (f", place {place} in the queue" if place else ""),
        ]
        wait = said.get("median_wait_seconds")
        if place and isinstance(wait, int):
            lines.append(f"  half of all submissions had a first decision within {max(1, round(wait / 3600))} h")
        return lines


def packed(directory: Path, *, vendor: bool = True, tell: Callable[[str], None] = lambda _: None) -> Packed:
    """Raises `ManifestError`, `PackageError`, `PinError`, `ClientError`, `OSError`; the directory stays as it is.

    `vendor`: have `go mod vendor` fetch what is missing, and `tell` what it is run for; otherwise it is an error.
    """
    if not (directory / FILE_NAME).is_file():
        raise ClientError("no_manifest", f"there is no `{directory / FILE_NAME}`", "`km-client plugin new` makes one")
    manifest = parse((directory / FILE_NAME).read_bytes())
    built = _built(manifest)
    files = {name: directory / name for name in _sources(directory, "") if name != built}
    if manifest.runtime == "python":
        _check_pins(directory)
    why = vendoring.missing(directory) if manifest.runtime == "go" else ""
    if not why:
        return _archived(files)
    if not vendor:
        raise vendoring.refused(why)
    with vendoring.fetched(directory, why, tell) as made:
        own = {name: path for name, path in files.items() if not name.startswith(f"{vendoring.VENDOR}/")}
        theirs = {name: made.parent / name for name in _sources(made.parent, vendoring.VENDOR)}
        return _archived(own | theirs, is_vendored_here=True)


def _archived(files: Mapping[str, Path], *, is_vendored_here: bool = False) -> Packed:
    """One archive of these files, by the names they have in it."""
    archive = io.BytesIO()
    write_archive([Member(name, _reading(path)) for name, path in files.items()], archive, SOURCE_LIMITS)
    source = open_source(archive)
    source.check_content()
    permissions = source.manifest.permissions
    asked = tuple(each for each in ("network", "filesystem", "system", "api_key") if getattr(permissions, each))
    data = archive.getvalue()
    names = tuple(entry.name for entry in source.entries)
    sha256 = hashlib.sha256(data).hexdigest()
    return Packed(source.manifest.name, source.manifest.version.text, asked, names, sha256, data, is_vendored_here)


def _check_pins(directory: Path) -> None:
    """What would not be built is not sent. Raises `PinError`, which names the line and the command."""
    file = directory / pins.FILE_NAME
    if file.is_file():
        for _ in pins.read(file.read_text(encoding="utf-8", errors="replace")):
            pass


def described(made: Packed) -> list[str]:
    """What is sent, for a person: the author's own files, and how many of others'."""
    own = [name for name in made.files if not name.startswith(DEPENDENCIES)]
    more = len(own) - SHOWN_FILES
    return [
        f"{made.name} {made.version}: {len(made.files)} files, {len(made.archive):,} bytes packed",
        f"  asks for: {', '.join(made.permissions) or 'nothing'}",
        f"  SHA-256:  {made.sha256}",
        *(f"  {name}" for name in own[:SHOWN_FILES]),
        *([f"  … and {more} more"] if more > 0 else []),
        *_counted(made),
    ]


def _counted(made: Packed) -> Iterator[str]:
    for top in DEPENDENCIES:
        if count := sum(name.startswith(top) for name in made.files):
            fresh = f", as `{vendoring.COMMAND}` made it now" if made.is_vendored_here else ""
            yield f"  {top} with {count:,} files{fresh}"


def send(made: Packed, *, visibility: str = "") -> Received:
    """Raises `ClientError` for every way in which the server did not take it."""
    key = credentials.load()
    if key is None:
        raise ClientError("no_api_key", "no API key is set", _NO_SCOPE)
    url = config.load().api_url
    api = Api(url, key.api_key)
    try:
        answer = api.submit_source(made.archive, MEDIA_TYPE, visibility)
    except UnreachableError as error:
        raise ClientError("unreachable", str(error), "send it again: nothing is submitted twice") from None
    finally:
        api.close()
    if answer.status not in {200, 201} or not isinstance(answer.field("id"), str):
        raise _refusal(answer, url)
    return Received(answer.json())


def _refusal(answer: Answer, url: str) -> ClientError:
    code, message, hint = answer.error()
    if code == "missing_scope":
        hint = _NO_SCOPE
    if not code:
        message = f"{url} answered {answer.status}, but not as a registry does"
        return ClientError(
            "not_kilometers", message, "see that `km-client config get api_url` is the service's address"
        )
    return ClientError(code, message, hint)


def _built(manifest: Manifest) -> str:
    """The program that the author's own build left behind: the registry makes its own."""
    return manifest.entry if manifest.runtime == "go" else ""


def _sources(top: Path, within: str) -> Iterator[str]:
    """The names of the files beneath `top/within` that are sent, with forward slashes."""
    try:
        yield from plain_files(top, within, is_left_out, "a source")
    except ProjectError as error:
        raise ClientError("not_a_file", str(error), error.hint) from None


def _reading(path: Path) -> Callable[[], bytes]:
    """One byte more than is allowed is enough for the writer to refuse it."""

    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(SOURCE_LIMITS.entry + 1)

    return read
