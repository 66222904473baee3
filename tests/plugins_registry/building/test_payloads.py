"""The same source is the same payload, and what is not is found by the second build."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from km_protocol.kmpkg.package import open_package

from customers import accounts, api_keys
from customers.models import Customer
from plugins_registry.building import claims, golang, kept_files, payloads, python
from plugins_registry.building.box import Job, Surroundings
from plugins_registry.building.errors import NoSandbox, SourceRefused
from plugins_registry.building.recipes import Recipe
from plugins_registry.models import BuildState, PayloadBuild
from tests.plugins_registry.building.conftest import ROOT, Clock, Files, console_logger, go_plugin, payload_row

pytestmark = pytest.mark.django_db


def run(files: Files, clock: Clock, **options: Any) -> PayloadBuild:
    build = payload_row(files, options.pop("platform", "any"))
    payloads.build_payload(build.pk, clock=clock, **options)
    build.refresh_from_db()
    return build


def recipe_of(script: str) -> Any:
    """A toolchain that does `script`."""

    def choose(source: Any, platform: str, scratch: Path) -> Recipe:
        def job(around: Surroundings) -> Job:
            return Job(["/bin/sh", "-c", f"cp main.py /out/; {script}"], {around.source: source.directory}, {}, around)

        return Recipe(job, dict)

    return choose


@pytest.mark.parametrize(
    "script",
    ["date +%N > /out/a", "head -c 8 /dev/urandom > /out/a", "pwd > /out/a", "hostname > /out/a", "date +%Z > /out/a"],
)
def test_what_depends_on_time_chance_or_place_is_found(script: str, clock: Clock) -> None:
    build = run(console_logger(), clock, choose=recipe_of(script))
    assert (build.state, build.second_build_matches, build.payload_digest) == (BuildState.FAILED, False, "")
    assert "two builds of this source differ in `a`" in build.log


def test_both_builds_logs_are_kept(clock: Clock) -> None:
    build = run(console_logger(), clock, choose=recipe_of("echo said-$(pwd)"))
    assert "--- build\nsaid-/src\n--- second build\nsaid-/second/src\n" in build.log
    assert (build.state, build.second_build_matches) == (BuildState.BUILT, True)


def test_a_source_that_does_not_compile_fails_and_its_author_reads_why(clock: Clock) -> None:
    build = run(console_logger() | {"main.py": b"def broken(:\n"}, clock)
    assert build.state == BuildState.FAILED
    assert "main.py: SyntaxError" in build.log


def test_a_go_plugin_cannot_run_anything_while_it_is_built(clock: Clock) -> None:
    """`//go:generate` and cgo are no part of a build."""
    evil = (
        b'package main\n\n// #include <stdlib.h>\nimport "C"\n\n//go:generate touch /out/a\nfunc main() { C.abort() }'
    )
    build = run(go_plugin() | {"main.go": evil}, clock, platform="linux-amd64")
    assert build.state == BuildState.FAILED


def test_without_a_sandbox_the_build_stays_queued(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins_registry.building.box.shutil.which", lambda *_, **__: None)
    build = payload_row(console_logger())
    with pytest.raises(NoSandbox):
        payloads.build_payload(build.pk, clock=clock, choose=recipe_of("true"))
    build.refresh_from_db()
    assert (build.state, build.claimed_until) == (BuildState.QUEUED, None)


def test_a_source_changed_in_the_storage_is_not_built(clock: Clock) -> None:
    build = payload_row(console_logger())
    name = str(build.revision.source.file.name)
    data = kept_files.load(name)
    kept_files.forget(name)
    kept_files.store(name, data[:-1] + b"x")
    assert not payloads.build_payload(build.pk, clock=clock)
    build.refresh_from_db()
    assert "the storage was changed or damaged" in build.log


def test_two_workers_build_one_payload(clock: Clock) -> None:
    build = payload_row(console_logger())
    other = claims.take(PayloadBuild, build.pk, until=clock() + payloads.CLAIM, at=clock())
    assert other is not None
    assert not payloads.build_payload(build.pk, clock=clock)
    clock.forward(payloads.CLAIM + timedelta(seconds=1))
    assert payloads.build_payload(build.pk, clock=clock)
    assert payloads.build_payload(build.pk, clock=clock), "and it is not built again"
    assert not other.finish(state=BuildState.FAILED)


def test_a_build_that_takes_longer_than_a_claim_stays_its_workers(clock: Clock) -> None:
    """Each step claims anew, so a claim need only be longer than a step, and a dead worker's ends soon."""
    build = payload_row(console_logger())
    taken = []

    def choose(source: Any, platform: str, scratch: Path) -> Recipe:
        recipe: Recipe = recipe_of("true")(source, platform, scratch)

        def job(around: Surroundings) -> Job:
            clock.forward(payloads.CLAIM - timedelta(minutes=1))
            taken.append(claims.take(PayloadBuild, build.pk, until=clock() + payloads.CLAIM, at=clock()))
            return recipe.job(around)

        return replace(recipe, job=job)

    assert payloads.build_payload(build.pk, clock=clock, choose=choose)
    assert taken == [None, None]


def wheel(directory: Path, name: str, files: dict[str, bytes]) -> str:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    directory.mkdir(exist_ok=True)
    (directory / name).write_bytes(out.getvalue())
    return hashlib.sha256(out.getvalue()).hexdigest()


def test_a_pinned_wheel_is_in_site_and_in_the_bill_of_materials(clock: Clock, tmp_path: Path) -> None:
    files = {
        "answer/__init__.py": b"A = 42\n",
        "answer-1.0.data/scripts/tool": b"#!x",
        "answer-1.0.dist-info/METADATA": b"",
    }
    digest = wheel(tmp_path / "wheels", "answer-1.0-py3-none-any.whl", files)
    pinned = console_logger() | {"requirements.txt": f"answer==1.0 --hash=sha256:{digest}\n".encode()}
    build = run(pinned, clock)
    assert build.state == BuildState.BUILT, build.log
    opened = open_package(io.BytesIO(kept_files.load(str(build.file.name))))
    names = {entry.name for entry in opened.payload}
    assert "payload/site/answer/__init__.py" in names
    assert not any("tool" in name for name in names)
    assert "pkg:pypi/answer@1.0" in build.sbom
    assert digest in build.provenance


def test_a_wheel_that_was_not_fetched_is_named(clock: Clock) -> None:
    pinned = console_logger() | {"requirements.txt": b"answer==1.0 --hash=sha256:" + b"0" * 64}
    build = run(pinned, clock)
    assert "the wheel of `answer` 1.0 was not fetched" in build.log
    assert "fetch_wheels" in build.log


@pytest.mark.parametrize(
    "line",
    ["answer", "answer==1.0", "answer>=1 --hash=sha256:" + "0" * 64, "--index-url http://evil", "-r other.txt",
     "answer @ http://evil/answer.whl", "-e .", "answer==1.0 --hash=sha256:" + "0" * 64 + " --index-url http://evil"],
)  # fmt: skip
def test_only_pins_with_hashes_are_taken(line: str) -> None:
    with pytest.raises(SourceRefused, match="no version pinned by its hash"):
        list(python.pins(line))


def test_the_manifests_flags_come_before_those_that_make_a_build_reproducible(clock: Clock) -> None:
    from km_protocol.kmpkg import manifest  # noqa: PLC0415

    parsed = manifest.parse(go_plugin()["manifest.json"])
    assert golang.flags(parsed) == ["-trimpath", "-buildvcs=false", "-ldflags=-s -w -s -w -buildid="]


def test_the_guides_command_prints_its_six_steps_and_where_the_package_is(
    tmp_path: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DATA_DIR = settings.SIGNER_DIR = tmp_path
    customer: Customer = accounts.create_customer("Acme", "pro", at=Clock()())
    key = api_keys.issue(customer, "laptop", at=Clock()()).secret
    given = ["--plugin", str(ROOT / "plugins" / "console-logger"), "--customer", customer.public_id, "--tier", "Pro"]
    call_command("build_plugin", *given, "--api-key", key, "--sign", "--output", str(tmp_path / "dist"))
    said = capsys.readouterr().out
    (made,) = (tmp_path / "dist").iterdir()
    assert said.endswith(f"Output: {made}\n")
    assert [line[:4] for line in said.splitlines()[1:7]] == ["1. 🔍", "2. 🔑", "3. 🏗", "4. 📝", "5. 📦", "6. ✅"]
    assert key.encode() not in made.read_bytes()
    stranger = accounts.create_customer("Globex", "pro", at=Clock()())
    given[3] = stranger.public_id
    with pytest.raises(CommandError, match="not one of Globex's"):
        call_command("build_plugin", *given, "--api-key", key, "--sign")
