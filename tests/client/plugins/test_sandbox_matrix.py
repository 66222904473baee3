"""Every set of permissions, with a Python plugin and a Go plugin, against everything a plugin might try.

Fails, and is never skipped, on Linux with Landlock: what is not declared is refused by the kernel and written down with
what was tried; what is declared works.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from km_client.plugins.sandbox.guarantees import promised
from km_client.plugins.sandbox.kernel import probe
from km_client.plugins.settings import HostSettings
from km_protocol.kmpkg.manifest import Permissions

from tests.client.plugins.conftest import BUILT_ELSEWHERE, PERMISSIONS, ROOT, MakePlugin, RunningPlugin, running

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or probe().landlock_abi == 0,
    reason="the sandbox is Landlock and seccomp, which are Linux's",
)
SETS = [Permissions(*flags) for flags in product((False, True), repeat=3)]
NOBODY = 65534


@dataclass(frozen=True)
class World:
    """What a plugin might reach: real listeners, a key file, somebody else's directory."""

    tcp: int
    udp: int
    unix: str
    datagram: str
    abstract: str
    key: str
    elsewhere: str
    mine: str
    home: str


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    outside = tmp_path / "home"
    outside.mkdir()
    (outside / "credentials.toml").write_text('api_key = "km_live_secret"')
    (outside / "notes.txt").write_text("mine")
    abstract = f"km-test-{os.getpid()}-{os.urandom(4).hex()}"
    with ExitStack() as open_sockets:

        def listener(family: int, kind: int, address: Any) -> Any:
            sock = open_sockets.enter_context(socket.socket(family, kind))
            sock.bind(address)
            if kind == socket.SOCK_STREAM:
                sock.listen(16)
            return sock.getsockname()

        with in_directory(outside):  # a socket's path is short, pytest's directories are not
            listener(socket.AF_UNIX, socket.SOCK_STREAM, "s.sock")
            listener(socket.AF_UNIX, socket.SOCK_DGRAM, "d.sock")
        short = Path(f"/tmp/{abstract}")
        short.symlink_to(outside)
        open_sockets.callback(short.unlink)
        listener(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{abstract}")
        yield World(
            tcp=listener(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))[1],
            udp=listener(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))[1],
            unix=f"{short}/s.sock",
            datagram=f"{short}/d.sock",
            abstract=abstract,
            key=str(outside / "credentials.toml"),
            elsewhere=str(outside / "planted"),
            mine=str(outside / "notes.txt"),
            home=str(outside),
        )


class in_directory:
    def __init__(self, path: Path) -> None:
        self._path, self._before = path, Path.cwd()

    def __enter__(self) -> None:
        os.chdir(self._path)

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before)


@dataclass(frozen=True)
class Attempt:
    """One row of the matrix: what is tried, when it is allowed, and how a refusal is written down."""

    name: str
    order: Callable[[World], dict[str, Any]]
    allowed: Callable[[Permissions], bool]
    call: str = ""
    target: Callable[[World], str] = lambda _: ""


def never(_: Permissions) -> bool:
    return False


def always(_: Permissions) -> bool:
    return True


def with_network(declared: Permissions) -> bool:
    return declared.network


def with_filesystem(declared: Permissions) -> bool:
    return declared.filesystem


def with_system(declared: Permissions) -> bool:
    return declared.system


def loopback(port: int) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port}


HOST = os.getpid()
MATRIX = (
    Attempt("tcp", lambda w: loopback(w.tcp), with_network, "connect", lambda w: f"127.0.0.1:{w.tcp}"),
    Attempt("udp", lambda w: loopback(w.udp), with_network, "connect", lambda w: f"127.0.0.1:{w.udp}"),
    Attempt(
        "unix",
        lambda w: {"path": w.unix},
        lambda declared: declared.network and declared.filesystem,
        "connect",
        lambda w: w.unix,
    ),
    Attempt("abstract", lambda w: {"name": w.abstract}, never, "connect", lambda w: f"@{w.abstract}"),
    Attempt("datagram_pair", lambda w: {"path": w.datagram}, never, "socketpair", lambda _: "AF_UNIX SOCK_DGRAM"),
    Attempt("io_uring", lambda _: {}, never, "io_uring_setup"),
    Attempt("read", lambda w: {"path": w.key}, with_filesystem, "open|openat", lambda w: w.key),
    Attempt("write", lambda w: {"path": w.elsewhere}, with_filesystem, "open|openat", lambda w: w.elsewhere),
    Attempt("chmod", lambda w: {"path": w.mine}, with_filesystem, "chmod|fchmodat", lambda w: w.mine),
    Attempt("list", lambda w: {"path": w.home}, with_filesystem, "open|openat", lambda w: w.home),
    Attempt("remove", lambda w: {"path": w.mine}, with_filesystem, "unlink|unlinkat", lambda w: w.mine),
    Attempt("run", lambda _: {"path": "/bin/true"}, with_system, "clone|vfork|fork"),
    Attempt("fork", lambda _: {}, with_system, "clone|fork"),
    Attempt("ptrace", lambda _: {"pid": HOST}, never, "ptrace", lambda _: f"process {HOST} (Kilometers)"),
    Attempt("signal", lambda _: {"pid": HOST}, never, "kill", lambda _: f"process {HOST} (Kilometers)"),
    Attempt("limit", lambda _: {"pid": HOST}, never, "prlimit64", lambda _: f"process {HOST} (Kilometers)"),
    Attempt("survive", lambda _: {}, never, "prctl"),
    Attempt("escape_group", lambda _: {}, never, "setsid"),
    Attempt("write_state", lambda _: {}, always),
    Attempt("thread", lambda _: {}, always),
    Attempt("nothing", lambda _: {}, always),
)  # fmt: skip


def described(declared: Permissions) -> str:
    return "+".join(name for name in PERMISSIONS if getattr(declared, name)) or "nothing"


@pytest.mark.parametrize("kind", ["python", "go"])
@pytest.mark.parametrize("declared", SETS, ids=described)
def test_a_plugin_can_do_what_it_declares_and_nothing_else(
    make_plugin: MakePlugin, settings: HostSettings, world: World, declared: Permissions, kind: str
) -> None:
    spec = make_plugin(kind, **{name: getattr(declared, name) for name in PERMISSIONS})

    async def run() -> list[str]:
        async with running(spec, settings) as plugin:
            return [wrong for row in MATRIX if (wrong := await judge(plugin, row, world, declared))]

    assert not asyncio.run(run())


async def judge(plugin: RunningPlugin, row: Attempt, world: World, declared: Permissions) -> str:
    """What is wrong with the outcome of one row; empty when it is as declared."""
    answer = await plugin.tries(row.name, **row.order(world))
    if row.allowed(declared):
        return f"{row.name} should work: {answer}" if answer else ""
    if not answer:
        return f"{row.name} was not refused"
    if not plugin.attempted(row.call, row.target(world)):
        return f"{row.name} was refused ({answer}) and not written down: {plugin.around.attempts.rows()}"
    return ""


@pytest.mark.parametrize("kind", ["python", "go"])
def test_executing_another_program_in_place_is_refused_and_written_down(
    make_plugin: MakePlugin, settings: HostSettings, kind: str
) -> None:
    async def run() -> None:
        async with running(make_plugin(kind), settings) as plugin:
            assert "ermission denied" in await plugin.tries("exec", path="/bin/true")
            assert plugin.attempted("execve", "/bin/true")
            assert await plugin.tries("nothing") == ""

    asyncio.run(run())


@pytest.mark.parametrize("declared", SETS, ids=described)
def test_this_kernel_keeps_every_promise(declared: Permissions) -> None:
    assert [row for row in promised(declared, probe()) if not row.enforced] == []


def test_a_plugin_inherits_no_environment_and_no_descriptor(
    make_plugin: MakePlugin, settings: HostSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KM_API_KEY", "km_live_secret")
    with Path("/dev/null").open() as leaked:
        os.set_inheritable(leaked.fileno(), True)

        async def run() -> str:
            async with running(make_plugin("python"), settings) as plugin:
                return await plugin.tries("environment")

        answer = asyncio.run(run())
    assert "km_live_secret" not in answer
    assert '"descriptors": []' in answer


def test_memory_is_bounded(make_plugin: MakePlugin, settings: HostSettings) -> None:
    async def run() -> None:
        async with running(make_plugin("python"), settings) as plugin:
            assert "MemoryError" in await plugin.tries("memory", bytes_wanted=2 << 30)
            assert await plugin.tries("memory", bytes_wanted=64 << 20) == ""

    asyncio.run(run())


def test_a_file_in_the_state_directory_is_bounded(make_plugin: MakePlugin, settings: HostSettings) -> None:
    async def run() -> None:
        async with running(make_plugin("python"), settings) as plugin:
            assert "File too large" in await plugin.tries("fill_state", mebibytes=65)

    asyncio.run(run())


def test_hammering_refused_calls_fills_no_list_and_hangs_nobody(
    make_plugin: MakePlugin, settings: HostSettings
) -> None:
    async def run() -> None:
        async with running(make_plugin("python"), settings) as plugin:
            assert await plugin.tries("hammer", count=3000) == ""
            attempts = plugin.around.attempts
            assert len(attempts.rows()) == 200
            assert attempts.unlisted >= 2700

    asyncio.run(run())


@pytest.mark.skipif(os.getuid() != 0, reason="already run by an ordinary user")
def test_the_matrix_holds_for_an_ordinary_user(go_probe: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same tests as `nobody`, with the system's Python where the one we run on is in a home of root's."""
    python = interpreter_for_others()
    if python is None:
        pytest.skip("no Python here that an ordinary user may run with the installed packages")
    binary = Path(f"/tmp/km-probe-{os.getpid()}")
    binary.write_bytes(go_probe.read_bytes())
    binary.chmod(0o755)
    base = Path(f"/tmp/km-nobody-{os.getpid()}")
    try:
        done = subprocess.run(
            [
                *as_user(python),
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                f"--basetemp={base}",
                __file__,
                "-k",
                "declares",
            ],
            cwd=ROOT,
            env=as_nobody(binary, base),
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{2 * len(SETS)} passed" in done.stdout
    finally:
        binary.unlink()
        subprocess.run(["rm", "-rf", str(base), f"{base}-data"], check=True)


def as_nobody(binary: Path, base: Path) -> dict[str, str]:
    sources = [str(ROOT / part) for part in ("client/src", "sdk/python/src", "protocol/src")]
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([*sources, *packages()]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "KM_DATA_DIR": f"{base}-data",
        BUILT_ELSEWHERE: str(binary),
    }


def interpreter_for_others() -> str | None:
    """One that `nobody` can execute and read, of our version, so that compiled packages load."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    check = "import os, sys; sys.exit(not all(os.access(path, os.R_OK) for path in (sys.executable, *sys.argv[1:])))"
    for candidate in (str(Path(sys.executable).resolve()), f"/usr/bin/python{version}"):
        command = [*as_user(candidate), "-c", check, str(ROOT), *packages()]
        if Path(candidate).exists() and subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return candidate
    return None


def as_user(program: str) -> list[str]:
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", program]


def packages() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]
