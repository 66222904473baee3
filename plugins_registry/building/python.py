"""A Python plugin's payload: its sources, and in `site/` the pure wheels its `requirements.txt` pins by hash.

    idna==3.10 --hash=sha256:946d195a…            each line: one version, its hashes, nothing else

Nothing of the plugin's, or of a wheel's, is run. The box has no network, so wheels are fetched beforehand, by a step of
its own that anybody can look at: `manage.py fetch_wheels`. That step runs `pip download --require-hashes --only-binary
:all: --no-deps` outside the box, which only downloads: what a hash does not name never gets into a payload, and a box
with network access would be none.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from km_protocol.kmpkg import pins as requirements
from km_protocol.kmpkg.pins import Pin, PinError
from km_protocol.kmpkg.provenance import Digests, Resource

from plugins_registry.building import in_the_box
from plugins_registry.building.box import Job, Surroundings
from plugins_registry.building.errors import BuildError, SourceRefused
from plugins_registry.building.recipes import Component, Recipe
from plugins_registry.building.sources import Unpacked

REQUIREMENTS = requirements.FILE_NAME
SITE = "site"
_PURE = "-none-any.whl"
_SEARCH = "/usr/local/bin:/usr/bin:/bin"


def recipe(source: Unpacked, wheels: Path, scratch: Path) -> Recipe:
    """`wheels` is a directory of fetched ones. Raises `SourceRefused`, or `BuildError` for what is missing."""
    interpreter = shutil.which("python3", path=_SEARCH)
    if interpreter is None:
        raise BuildError("there is no `python3` in /usr on this machine", "install it where plugins are built")
    chosen = _wheels(source, wheels, scratch)
    tool = scratch / "in_the_box.py"
    shutil.copyfile(in_the_box.__file__, tool)
    tool.chmod(0o444)

    def job(around: Surroundings) -> Job:
        mounts = {around.source: source.directory, "/tools/in_the_box.py": tool}
        mounts |= {f"/wheels/{path.name}": path for path in chosen}
        command = [interpreter, "-I", "-B", "/tools/in_the_box.py", around.source, "/wheels", "/out"]
        return Job(command, mounts, {}, around)

    components, materials = [], []
    for path, (name, version, digest) in chosen.items():
        components.append(Component(name, version, f"pkg:pypi/{name}", digest))
        materials.append(Resource(path.name, Digests(digest)))
    return Recipe(job, dict, {}, {}, tuple(components), tuple(materials))


def pins(text: str) -> Iterator[Pin]:
    """Each requirement, in order. Raises `SourceRefused` on anything that is no version with its hashes."""
    try:
        yield from requirements.read(text)
    except PinError as error:
        raise SourceRefused(str(error), error.hint) from None


def _wheels(source: Unpacked, wheels: Path, scratch: Path) -> dict[Path, tuple[str, str, str]]:
    """A copy of each pinned wheel: the bytes that were compared with the hash are those the box sees."""
    if not source.has(REQUIREMENTS):
        return {}
    wanted = list(pins((source.directory / REQUIREMENTS).read_text(encoding="utf-8")))
    if wanted and source.has(SITE):
        message = f"the source has both `{SITE}/` and a `{REQUIREMENTS}`"
        raise SourceRefused(message, f"leave out `{SITE}/`: the build makes it")
    kept = scratch / "wheels"
    kept.mkdir(mode=0o755)
    found = {}
    for name, version, hashes in wanted:
        path, digest = _find(wheels, name, version, hashes)
        copy = kept / path.name
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise BuildError(f"`{path.name}` changed while it was read", "run the build again")
        copy.write_bytes(data)
        copy.chmod(0o444)
        found[copy] = (name, version, digest)
    return found


def _find(wheels: Path, name: str, version: str, hashes: frozenset[str]) -> tuple[Path, str]:
    for path in sorted(wheels.glob("*.whl")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest in hashes:
            if not path.name.endswith(_PURE):
                message = f"`{path.name}` holds compiled code, and a Python plugin's package is for any machine"
                raise SourceRefused(message, "use a pure Python package, or write the plugin in Go")
            return path, digest
    message = f"the wheel of `{name}` {version} was not fetched"
    raise BuildError(message, "run `manage.py fetch_wheels` for this revision, then build again")
