"""A reviewed source becomes what runs, once a revision and platform, the same for every customer.

    build_payload(payload_build.pk, clock=now)       True: built and compared with a second build, or it was already

The row tells of it: steps with their times, both builds' logs, the payload's digest, its bill of materials and where it
came from. The file is a development package: the manifest and the payload, which `customer_builds` makes packages of.
Running it again, or twice at once, comes to the same: a claim keeps two workers apart, and two builds of one source are
the same bytes, or neither is kept.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
from django.conf import settings
from django.db import transaction
from km_protocol import canonical
from km_protocol.errors import PackageError
from km_protocol.kmpkg import package, slot
from km_protocol.kmpkg.provenance import Provenance
from km_protocol.kmpkg.statements import Platform

from customers import audit
from plugins_registry import scratch
from plugins_registry.building import (
    bill_of_materials,
    box,
    claims,
    go_std,
    golang,
    kept_files,
    packing,
    python,
    recipes,
    sources,
)
from plugins_registry.building.box import LIMITS, Limits
from plugins_registry.building.errors import BuildError, NoSandbox
from plugins_registry.building.recipes import Files, Recipe
from plugins_registry.building.sources import Unpacked
from plugins_registry.building.steps import Clock, Steps
from plugins_registry.models import BuildState, PayloadBuild

CLAIM = timedelta(minutes=15)  # longer than any one step, a build at its limit; each step claims anew
BUILDER = "https://kilometers.ai/builders/bubblewrap/v1"
STEPS = ("source", "build", "second build", "comparison", "packing")

Choose = Callable[[Unpacked, str, Path], Recipe]


@dataclass(frozen=True, slots=True)
class Built:
    """A payload before it is stored. `archive` is the development package."""

    digest: str
    archive: bytes
    sbom: bytes
    provenance: Provenance


def build_payload(pk: int, *, clock: Clock, limits: Limits = LIMITS, choose: Choose | None = None) -> bool:
    """True when the payload is there. False when its build failed, which its row explains, or another worker is at it.

    Raises `NoSandbox`: that is nothing of the source's, and the build stays queued.
    """
    started = clock()
    claim = claims.take(PayloadBuild, pk, until=started + CLAIM, at=started)
    build = PayloadBuild.objects.select_related("revision__version__plugin", "revision__source").get(pk=pk)
    if claim is None:
        return build.state == BuildState.BUILT
    steps, log = Steps(clock, on_step=lambda _: claim.renew(until=clock() + CLAIM)), [""]
    try:
        built = _build(build, steps, log, limits, choose or recipe_for)
    except NoSandbox as error:
        claim.finish(state=BuildState.QUEUED, steps=steps.rows, log=_explained(log[0], error))
        raise
    except BuildError as error:
        _fail(claim, build, error, steps, log[0], clock())
        return False
    return _keep(claim, build, built, steps, log[0], clock())


def recipe_for(source: Unpacked, platform: str, place: Path) -> Recipe:
    """How the source is built. Raises `SourceRefused`, or `BuildError` where its language has no toolchain."""
    if source.manifest.runtime == "go":
        toolchain = golang.find_toolchain()
        std = go_std.brought(toolchain, platform, Path(settings.TOOLCHAIN_CACHE_DIR), place)
        return golang.recipe(source, platform, toolchain, std)
    return python.recipe(source, Path(settings.WHEELS_DIR), place)


def _build(build: PayloadBuild, steps: Steps, log: list[str], limits: Limits, choose: Choose) -> Built:
    with scratch.room("build", sources.BOX_MAY_LOOK) as place:
        with steps.step("source"):
            source = sources.unpack(build.revision.source, place / "source")
            recipe = choose(source, build.platform, place)
        files = _twice(recipe, steps, log, limits)
        with steps.step("packing"):
            return _packed(build, source, recipe, files, steps)


def _twice(recipe: Recipe, steps: Steps, log: list[str], limits: Limits) -> Files:
    made: list[Files] = []
    for name, around in (("build", box.FIRST), ("second build", box.SECOND)):
        with steps.step(name):
            log[0] += f"--- {name}\n"
            try:
                done = recipes.make(recipe, around, limits)
            except BuildError as error:
                log[0] += error.log
                raise
            log[0] += done.log
            made.append(done.files)
    with steps.step("comparison"):
        recipes.compare(*made)
    return made[0]


def _packed(build: PayloadBuild, source: Unpacked, recipe: Recipe, files: Files, steps: Steps) -> Built:
    """Read back by the strict reader, so that nothing is kept which a laptop would refuse."""
    archive = packing.assemble(_members(source, files))
    try:
        digest = package.payload_digest(package.open_package(io.BytesIO(archive)).listing())
    except PackageError as error:
        raise BuildError(f"no package can be made of this: {error}", error.hint) from None
    sbom = bill_of_materials.write(source.manifest, recipe.components, digest)
    return Built(digest, archive, sbom, _provenance(build, source, recipe, sbom, steps))


def _members(source: Unpacked, files: Files) -> list[packing.Packed]:
    manifest = source.manifest
    members = [packing.pack(package.MANIFEST, source.manifest_bytes)]
    for name, data in files.items():
        is_program = manifest.runtime == "go" and name == manifest.entry
        if is_program and slot.MARKER in data and not slot.is_blank(data):
            raise BuildError("the program's customer slot is not blank", "leave the SDK's slot as it is")
        make = packing.pack_program if is_program else packing.pack
        members.append(make(package.PAYLOAD + name, data))
    return members


def _provenance(build: PayloadBuild, source: Unpacked, recipe: Recipe, sbom: bytes, steps: Steps) -> Provenance:
    times = [row["started_at"] for row in steps.rows]
    return Provenance.of(
        source_sha256=source.sha256,
        platform=cast(Platform, build.platform),
        builder_id=BUILDER,
        invocation_id=f"{build.revision.public_id}/{build.platform}",
        started_on=times[0],
        finished_on=times[-1],
        sbom_sha256=kept_files.sha256(sbom),
        parameters={"plugin": source.manifest.name, "version": str(source.manifest.version)},
        environment={"reproduced": "2 builds, byte for byte", **recipe.environment},
        materials=recipe.materials,
        tools=dict(recipe.tools),
    )


def _keep(claim: claims.Claim, build: PayloadBuild, built: Built, steps: Steps, log: str, at: datetime) -> bool:
    """The file first, under its digest: a crash leaves a file that the next run finds, never a row without one."""
    name = f"payloads/{built.digest[:2]}/{kept_files.sha256(built.archive)}.kmpkg"
    kept_files.store(name, built.archive)
    with transaction.atomic():
        kept = claim.finish(
            state=BuildState.BUILT,
            payload_digest=built.digest,
            file=name,
            sbom=built.sbom.decode(),
            provenance=canonical.dumps(msgspec.to_builtins(built.provenance)).decode(),
            steps=steps.rows,
            log=log,
            second_build_matches=True,
            built_at=at,
        )
        if kept:
            _record("payload.built", build, at, payload_digest=built.digest)
    return kept


def _fail(claim: claims.Claim, build: PayloadBuild, error: BuildError, steps: Steps, log: str, at: datetime) -> None:
    differs = False if any(row["name"] == "comparison" for row in steps.rows) else None
    columns = {"steps": steps.rows, "log": _explained(log, error), "second_build_matches": differs}
    with transaction.atomic():
        if claim.finish(state=BuildState.FAILED, **columns):
            _record("payload.failed", build, at, code=error.code)


def _record(action: str, build: PayloadBuild, at: datetime, **details: Any) -> None:
    subject = f"revision:{build.revision.public_id}"
    audit.record(action, subject=subject, at=at, platform=build.platform, **details)


def _explained(log: str, error: BuildError) -> str:
    return f"{log}error: {error.message}\nhint: {error.hint}\n"
