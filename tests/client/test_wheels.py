"""What is published: whole, typed, licensed, without tests; installed by uv into an empty home, both commands run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from importlib.metadata import version
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from packaging.requirements import Requirement

from tests import prepared

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = {"km_protocol": "protocol", "km_plugin_sdk": "sdk/python", "km_client": "client"}
BIN = Path(sys.executable).parent
CACHE = Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache" / "uv")  # read before a test has its own home
PROXIES = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
UNREACHABLE = ("error sending request", "dns error", "Failed to fetch", "network was disabled")
OURS = ("km-protocol", "km-plugin-sdk", "km-client")


def build(directory: Path) -> None:
    for source in SOURCES.values():
        hatchling("wheel", ROOT / source, directory)


def hatchling(kind: str, source: Path, directory: Path) -> None:
    subprocess.run(
        [BIN / "hatchling", "build", "-t", kind, "-d", directory], cwd=source, check=True, capture_output=True
    )


@pytest.fixture(scope="module")
def wheels() -> Path:
    return prepared.once("wheels", build)


@pytest.fixture(params=list(SOURCES))
def wheel(request: pytest.FixtureRequest, wheels: Path) -> zipfile.ZipFile:
    return opened(wheels, request.param)


def opened(wheels: Path, name: str) -> zipfile.ZipFile:
    (path,) = wheels.glob(f"{name}-*.whl")
    return zipfile.ZipFile(path)


def package(wheel: zipfile.ZipFile) -> str:
    return Path(str(wheel.filename)).name.partition("-")[0]


def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


def test_it_holds_its_package_and_nothing_beside(wheel: zipfile.ZipFile) -> None:
    name = package(wheel)
    others = {each for each in wheel.namelist() if not each.startswith(f"{name}/") and ".dist-info/" not in each}
    manual = {"km_client-1.0.0.data/data/share/man/man1/km-client.1"}
    assert others == (manual if name == "km_client" else set())
    assert f"{name}/py.typed" in wheel.namelist()
    (licence,) = (each for each in wheel.namelist() if each.endswith(".dist-info/licenses/LICENSE"))
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_it_holds_every_module_and_no_test(wheel: zipfile.ZipFile) -> None:
    name = package(wheel)
    source = ROOT / SOURCES[name] / "src"
    written = {path.relative_to(source).as_posix() for path in (source / name).rglob("*.py")}
    assert written <= set(wheel.namelist())
    ours = [each for each in wheel.namelist() if not each.startswith(f"{name}/templates/")]  # a new plugin has tests
    assert [each for each in ours if re.search(r"(^|/)(tests?/|test_[^/]*\.py|conftest\.py|__pycache__)", each)] == []


def test_its_page_on_an_index_is_complete(wheel: zipfile.ZipFile) -> None:
    about = metadata(wheel)
    assert about["License-Expression"] == "Apache-2.0" and about["License-File"] == "LICENSE"
    assert about["Requires-Python"] == ">=3.11"
    readme = (ROOT / SOURCES[package(wheel)] / "README.md").read_text()
    assert about["Description-Content-Type"] == "text/markdown" and readme.strip() in about.get_payload()
    assert "](.." not in readme, "a relative link leads nowhere there"
    classifiers = about.get_all("Classifier") or []
    assert "Typing :: Typed" in classifiers and "Programming Language :: Python :: 3.11" in classifiers
    assert about["Summary"] and about["Keywords"]


def test_the_wheel_of_an_sdist_is_the_wheel_of_the_checkout(wheels: Path, tmp_path: Path) -> None:
    """`uv build` makes it so. What `km-client plugin new` copies stands beside the SDK's directory, not in it."""
    hatchling("sdist", ROOT / SOURCES["km_plugin_sdk"], tmp_path)
    (sdist,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path, filter="data")
    hatchling("wheel", tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path)
    direct, indirect = opened(wheels, "km_plugin_sdk").namelist(), opened(tmp_path, "km_plugin_sdk").namelist()
    assert sorted(direct) == sorted(indirect)
    assert {"km_plugin_sdk/templates/python/manifest.json", "km_plugin_sdk/go/go.mod"} <= set(direct)


def test_every_import_of_the_client_is_of_something_it_requires(wheels: Path) -> None:
    wheel = opened(wheels, "km_client")
    required = {Requirement(each).name.lower() for each in metadata(wheel).get_all("Requires-Dist") or []}
    modules = {"yaml": "pyyaml", "google": "protobuf", "ahocorasick_rs": "ahocorasick-rs"}
    imported = set()
    for name in wheel.namelist():
        if name.endswith(".py"):
            imported |= set(re.findall(r"^\s*(?:from|import) ([a-z_0-9]+)", wheel.read(name).decode(), re.MULTILINE))
    third = {each for each in imported if each not in sys.stdlib_module_names} - {"km_client"}
    third = {each for each in third if any((BIN.parent / "lib").glob(f"python*/site-packages/{each}*"))}
    assert {modules.get(each, each.replace("_", "-")) for each in third} <= required


def test_the_extras_are_what_the_tests_run_with(wheels: Path) -> None:
    about = metadata(opened(wheels, "km_client"))
    assert set(about.get_all("Provides-Extra") or []) == {"keyring", "top"}
    wanted = [Requirement(each) for each in about.get_all("Requires-Dist") or []]
    extra = {each.name: each for each in wanted if each.marker is not None}
    assert set(extra) == {"keyring", "textual"}
    for each in wanted:
        assert each.specifier.contains(version(each.name)), each


@pytest.fixture(scope="module")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home into which uv installed the client from the wheels; what it needs is from the registry, or cached.

    Both extras are asked for, so they resolve.
    """
    home = tmp_path_factory.mktemp("empty-home")
    newest = [f"{name} @ {path.as_uri()}" for name, path in zip(OURS, _paths(wheels), strict=True)]
    with_ours = [word for each in newest[:2] for word in ("--with", each)]
    client = newest[2].replace("km-client @", "km-client[keyring,top] @")
    command = [str(BIN / "uv"), "tool", "install", "--no-config", "--python", sys.executable, *with_ours, client]
    environment = {**os.environ, **PROXIES, "HOME": str(home), "UV_CACHE_DIR": str(CACHE)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, check=False)
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        pytest.skip("no package registry can be reached from here")
    assert done.returncode == 0, done.stderr
    return home


def _paths(wheels: Path) -> list[Path]:
    return [next(wheels.glob(f"{name}-*.whl")) for name in SOURCES]


def test_both_commands_run_and_the_manual_is_there(installed: Path) -> None:
    for name in ("km", "km-client"):
        program = str(installed / ".local" / "bin" / name)
        done = subprocess.run([program, "--version"], capture_output=True, text=True, cwd=installed, check=True)
        assert done.stdout == "km-client 1.0.0\n"
    (manual,) = (installed / ".local" / "share" / "uv").rglob("man1/km-client.1")
    assert manual.read_bytes() == (ROOT / "client" / "man" / "km-client.1").read_bytes()


def test_what_was_installed_stands_before_a_real_server(installed: Path, tmp_path: Path) -> None:
    """From outside the tree, in an environment as MCP clients give it, with the official SDK's client."""
    program = str(installed / ".local" / "bin" / "km-client")
    moved = {"KM_CONFIG_DIR": str(tmp_path / "c"), "KM_DATA_DIR": str(tmp_path / "d"), "KM_AGENT": "off"}
    server = StdioServerParameters(
        command=program,
        args=["monitor", "--", str(BIN / "mcp-server-time")],
        env={"HOME": str(installed), "PATH": os.environ["PATH"], **moved},
        cwd=tmp_path,
    )

    async def ask() -> bool:
        async with Client(server, read_timeout_seconds=60) as client:
            return not (await client.call_tool("get_current_time", {"timezone": "Europe/Rome"})).is_error

    assert anyio.run(ask)
    assert any((tmp_path / "d" / "journal").iterdir())
