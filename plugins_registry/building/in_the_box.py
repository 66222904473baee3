"""Runs in the box, under any Python there: copies a Python plugin's sources, unpacks its wheels, compiles both.

    python3 -I -B in_the_box.py /src /wheels /out

Standard library only, and alone: nothing else of ours is there. What it leaves is as untrusted as what it read.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

LEFT_OUT = {"dist", "tests", "manifest.json"}  # at the top, as `km-client plugin build --package` has it
OUTSIDE_SITE = {"bin"}
COMPILED = (".pyc", ".pyo")
MAX_BYTES = 160 * 1024 * 1024  # of all wheels, unpacked; the box's /out is a little larger


def main(source: Path, wheels: Path, out: Path) -> None:
    copy_sources(source, out)
    left = MAX_BYTES
    for wheel in sorted(wheels.glob("*.whl")) if wheels.is_dir() else []:
        left -= unpack(wheel, out / "site", left)
    for path in sorted(out.rglob("*.py")):
        if "site" not in path.relative_to(out).parts[:1]:
            check_syntax(path, out)


def copy_sources(source: Path, out: Path) -> None:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if name.parts[0] in LEFT_OUT or "__pycache__" in name.parts or path.suffix in COMPILED or not path.is_file():
            continue
        if name.parts[:2] == ("site", "bin"):
            continue
        place(path.read_bytes(), out / name)


def unpack(wheel: Path, site: Path, left: int) -> int:
    """Its modules and its metadata; its scripts, headers and data have no place in a plugin."""
    written = 0
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            parts = info.filename.split("/")
            if info.is_dir() or info.filename.endswith(COMPILED):
                continue
            if parts[0].endswith(".data"):
                if parts[1] not in {"purelib", "platlib"}:
                    continue
                parts = parts[2:]
            if ".." in parts or "" in parts or parts[0] in OUTSIDE_SITE:
                sys.exit(f"{wheel.name}: {info.filename!r} leads out of site/")
            written += info.file_size
            if written > left:
                sys.exit(f"{wheel.name}: the wheels have more than {MAX_BYTES:,} bytes")
            place(archive.read(info), site.joinpath(*parts))
    return written


def place(data: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        sys.exit(f"{target} comes from two places")
    with target.open("xb") as file:
        file.write(data)
    target.chmod(0o644)


def check_syntax(path: Path, out: Path) -> None:
    try:
        compile(path.read_bytes(), str(path.relative_to(out)), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        sys.exit(f"{path.relative_to(out)}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
