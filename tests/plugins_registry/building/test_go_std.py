"""The compiled standard library: builds begin with it, no build changes it, and a damaged one is made again."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from plugins_registry import scratch
from plugins_registry.building import box, go_std, golang, recipes, sources
from plugins_registry.building.golang import Std
from plugins_registry.building.recipes import Recipe
from tests.plugins_registry.building.conftest import archive, go_plugin
from tests.sdk.go_toolchain import HAS_GO

pytestmark = [
    pytest.mark.skipif(not HAS_GO, reason="Go is not installed"),
    pytest.mark.timeout(600),  # whoever is first compiles the standard library
]
PLATFORM = "linux-amd64"
MAIN = b'package main\n\nimport "example.com/words"\n\nfunc main() { println(words.Hello) }\n'
SMALL = go_std._MAKE.replace("std", "unicode/utf8")  # one package that imports none: a second instead of a minute


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of one build."""
    with scratch.room("build", sources.BOX_MAY_LOOK) as room:
        yield room


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where nothing is kept yet, and a standard library of one package."""
    monkeypatch.setattr(go_std, "_MAKE", SMALL)
    return tmp_path / "kept"


def brought(kept: Path, place: Path) -> Std | None:
    return go_std.brought(golang.find_toolchain(), PLATFORM, kept, place)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def recipe(place: Path, *, with_std: bool) -> Recipe:
    """Of a program that stands on little, since it is compiled from nothing too."""
    files = {name: data for name, data in go_plugin().items() if name != "customer.go"} | {"main.go": MAIN}
    data = archive(files)
    source = sources.unpack_file(io.BytesIO(data), hashlib.sha256(data).hexdigest(), place / f"source-{with_std}")
    std = brought(Path(settings.TOOLCHAIN_CACHE_DIR), place) if with_std else None
    assert bool(std) == with_std
    return golang.recipe(source, PLATFORM, golang.find_toolchain(), std)


def changed(base: Recipe, *words: str, drop: int = 0) -> Recipe:
    """The same box and the same beginning, then `words` in place of the command's, or of all but its last `drop`."""

    def job(around: box.Surroundings) -> box.Job:
        made = base.job(around)
        at = list(made.command).index(f"{golang.GOROOT}/bin/go")
        rest = made.command[at + drop :] if drop else ()
        return replace(made, command=[*made.command[:at], *words, *rest])

    return replace(base, job=job)


def test_a_build_compiles_nothing_of_the_standard_library_and_gives_the_bytes_of_one_that_does(place: Path) -> None:
    made = {}
    for with_std in (True, False):
        base = recipe(place, with_std=with_std)
        loud = changed(base, f"{golang.GOROOT}/bin/go", "build", "-x", drop=2)
        made[with_std] = recipes.make(loud, box.FIRST)
    assert " -p main " in made[True].log and " -p example.com/words " in made[True].log
    assert " -p runtime " not in made[True].log
    assert " -p runtime " in made[False].log
    assert made[True].files == made[False].files


def test_where_a_payload_came_from_names_the_standard_library_it_began_with(place: Path) -> None:
    (material,) = recipe(place, with_std=True).materials
    assert (material.name, material.digest.sha256) == (f"std, compiled for {PLATFORM}", digest(place / "go-std.tar"))
    assert recipe(place, with_std=False).materials == ()


def test_what_a_build_does_to_its_cache_no_other_build_sees(place: Path) -> None:
    base = recipe(place, with_std=True)
    before = digest(place / "go-std.tar")
    evil = 'for each in "$GOCACHE"/*/*-d; do echo evil > "$each"; done; echo evil > "$GOCACHE"/evil; '
    evil += "(echo evil >> /go-std.tar) || rm /go-std.tar || mv /tmp/cache /go-std.tar || echo refused"
    look = 'ls "$GOCACHE"; cat "$GOCACHE"/*/*-d | head -c 100000000 | grep -c "^evil$"; true'
    said = []
    for script in (evil, look):
        output = io.BytesIO()
        ran = box.run(changed(base, "/bin/sh", "-c", script).job(box.FIRST), output)
        assert ran.exit_code == 0, ran.log
        said.append(ran.log)
    assert said[0].endswith("refused\n")
    assert "evil" not in said[1] and said[1].endswith("\n0\n")
    assert digest(place / "go-std.tar") == before
    assert [path.stem.rpartition("-")[2] for path in kept_for_all()] == [before]


def kept_for_all() -> list[Path]:
    return list(Path(settings.TOOLCHAIN_CACHE_DIR).glob(f"{PLATFORM}-*.tar"))


@pytest.mark.parametrize("damage", ["a byte", "the end", "the name"])
def test_a_damaged_one_is_noticed_and_made_again(small: Path, place: Path, damage: str) -> None:
    first = brought(small, place)
    assert first is not None
    (path,) = small.glob("*.tar")
    path.chmod(0o644)
    data = path.read_bytes()
    if damage == "a byte":
        path.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    elif damage == "the end":
        path.write_bytes(data[:-512])
    else:
        path.rename(path.with_name(path.name[:-10] + "000000.tar"))
    second = brought(small, place)
    assert second is not None
    (path,) = small.glob("*.tar")
    assert path.stem.endswith(second.sha256) and digest(path) == second.sha256 == digest(second.path)


def test_two_workers_at_once_make_one(small: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    run = box.run

    def counted(*given: Any) -> box.Ran:
        made.append(given)
        return run(*given)

    monkeypatch.setattr(box, "run", counted)
    places = [place / name for name in "ab"]
    for each in places:
        each.mkdir()
    with ThreadPoolExecutor(2) as workers:
        found = list(workers.map(lambda each: brought(small, each), places))
    assert len({std.sha256 for std in found if std}) == len(made) == 1
    assert [std.path for std in found if std] == [each / "go-std.tar" for each in places]


def test_another_toolchains_is_not_used_and_goes(
    small: Path, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert brought(small, place)
    (old,) = small.glob("*.tar")
    monkeypatch.setattr(go_std, "_identity", lambda _: "another")
    assert brought(small, place)
    assert not old.exists() and len(list(small.glob("*-another-*.tar"))) == 1


def test_a_toolchain_is_known_by_its_programs(tmp_path: Path) -> None:
    seen = set()
    for compiler in (b"one", b"two"):
        for name, data in (("bin/go", b"go"), ("pkg/tool/linux_amd64/compile", compiler)):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
        seen.add(go_std._identity(tmp_path))
    assert len(seen) == 2


def test_where_none_can_be_made_nothing_is_left_and_builds_go_on_without(
    small: Path, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(go_std, "_MAKE", "echo no; false")
    assert brought(small, place) is None
    assert [path.name for path in small.iterdir()] == [f"{PLATFORM}.lock"]
    (tmp_path / "file").write_text("no directory")
    assert brought(tmp_path / "file", place) is None
