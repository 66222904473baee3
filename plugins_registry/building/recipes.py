"""How a payload is made in the box, whatever it is written in.

A recipe names the command and what it is shown; the same command runs twice, in surroundings that differ in everything
that must not matter: directory, host name, time zone, home, and time. `collect` makes the payload's files of what was
left in /out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from km_protocol.kmpkg.provenance import Resource

from plugins_registry.building import box, outputs
from plugins_registry.building.box import LIMITS, Job, Limits, Surroundings
from plugins_registry.building.errors import NotReproducible

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Component:
    """A dependency, for the bill of materials. `purl` without its version: `pkg:pypi/idna`."""

    name: str
    version: str
    purl: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """`tools` and `environment` go into the provenance, `materials` too: what was used beside the source."""

    job: Callable[[Surroundings], Job]
    collect: Callable[[Files], Files]
    tools: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    components: tuple[Component, ...] = ()
    materials: tuple[Resource, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """The payload's files by name, and what was said while they were made."""

    files: Files
    log: str


def make(recipe: Recipe, surroundings: Surroundings, limits: Limits = LIMITS) -> Made:
    """Run it once. Raises `BuildError`."""
    with tempfile.TemporaryFile() as archive:
        ran = box.run(recipe.job(surroundings), archive, limits)
        if ran.exit_code != 0:
            raise box.explain(ran, "the build")
        return Made(recipe.collect(outputs.files(archive)), ran.log)


def compare(first: Files, second: Files) -> None:
    """Raises `NotReproducible`, naming the files that differ."""
    names = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    if names:
        listed = ", ".join(f"`{name}`" for name in names[:5]) + (" …" if len(names) > 5 else "")
        message = f"two builds of this source differ in {listed}"
        hint = "nothing of the build may depend on the time, the place or chance"
        raise NotReproducible(message, hint)
