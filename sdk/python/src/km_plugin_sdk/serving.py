"""Be a go-plugin plugin: check the cookie, listen, print the handshake line, serve until told to end.

    1|1|unix|/tmp/…/plugin-4711.sock|grpc|

The socket lies in PLUGIN_UNIX_SOCKET_DIR (the host's private directory); where there are no unix sockets (Windows) a
loopback port is used, and then the host must offer a certificate, because any local program could connect.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from km_plugin_sdk.errors import ServeError
from km_plugin_sdk.output import Output
from km_plugin_sdk.plugin import Plugin

if TYPE_CHECKING:
    import ssl

    from grpclib.server import Server

COOKIE_KEY = "KILOMETERS_PLUGIN"
COOKIE_VALUE = "kilometers-cli-plugin"
CORE_PROTOCOL = 1  # go-plugin's own
PROTOCOL = 1  # ours
ORPHAN_CHECK_SECONDS = 2.0
LAST_OUTPUT_SECONDS = 0.1
MAX_SOCKET_PATH = 103  # bytes, on macOS; Linux takes 107

BY_HAND = """This program is a plugin. Plugins are not meant to be executed directly.
Execute the program that consumes it, which will load it automatically:
  km-client monitor --plugin {directory} -- YOUR-MCP-SERVER
"""


def serve(plugin: Plugin, *, manifest: Path | None = None) -> NoReturn:
    """Serve `plugin` until the host ends it; does not return. `manifest` is found beside the main program's file."""
    directory = Path(getattr(sys.modules["__main__"], "__file__", None) or "plugin").resolve().parent
    require_host(directory)
    output = Output.aside()
    logging.basicConfig(stream=sys.stderr, format="[%(levelname)s] %(name)s: %(message)s")
    for library in ("grpclib", "hpack"):  # their own affairs: with `debug`, thousands of lines
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(plugin, output, manifest or directory / "manifest.json"))
    except ServeError as error:
        sys.stderr.write(f"[ERROR] {error}\n")
        _leave(1)
    _leave(0)


def require_host(directory: Path) -> None:
    """Say what this program is, and exit, unless a host started it."""
    if os.environ.get(COOKIE_KEY) != COOKIE_VALUE:
        sys.stderr.write(BY_HAND.format(directory=directory))
        sys.exit(1)


def _leave(code: int) -> NoReturn:
    """End without waiting for threads: a handler that hangs must not keep the process."""
    with suppress(OSError, ValueError):  # whoever read our output may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


async def _serve(plugin: Plugin, output: Output, manifest: Path) -> None:
    from grpclib.server import Server  # noqa: PLC0415 - after stdout was moved aside

    from km_plugin_sdk.admission import OwnManifest  # noqa: PLC0415
    from km_plugin_sdk.service import Controller, Health, PluginService, Stdio  # noqa: PLC0415

    service, controller = PluginService(plugin, OwnManifest.read(manifest)), Controller()
    server = Server([service, controller, Stdio(output), Health()])
    _heed_signals(controller.asked)
    async with asyncio.TaskGroup() as tasks:
        orphan_watch = tasks.create_task(_set_when_orphaned(controller.asked))
        address = await _listen(server, output)
        try:
            await controller.asked.wait()
            await service.shut_down()
            await _last_output(output)
        finally:
            orphan_watch.cancel()
            server.close()
            _remove(address)


async def _listen(server: Server, output: Output) -> Path | None:
    """Start listening and say where. Returns the socket's path, to be removed at the end."""
    context, certificate = _tls()
    if os.name == "nt":
        port = await _listen_tcp(server, context)
        output.say(f"{CORE_PROTOCOL}|{PROTOCOL}|tcp|127.0.0.1:{port}|grpc|{certificate}")
        return None
    path = _socket_path()
    mask = os.umask(0o077)
    try:
        await server.start(path=str(path), ssl=context)
    finally:
        os.umask(mask)
    output.say(f"{CORE_PROTOCOL}|{PROTOCOL}|unix|{path}|grpc|{certificate}")
    return path


def _tls() -> tuple[ssl.SSLContext | None, str]:
    client_certificate = os.environ.get("PLUGIN_CLIENT_CERT", "")
    if not client_certificate:
        return None, ""
    from km_plugin_sdk.mutual_tls import server_context  # noqa: PLC0415 - only when asked for

    context, identity = server_context(client_certificate)
    return context, identity.handshake_field


def _socket_path() -> Path:
    directory = os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.mkdtemp(prefix="km-plugin-")
    path = Path(directory) / f"plugin-{os.getpid()}.sock"
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise ServeError(f"the socket's path `{path}` is too long", "set PLUGIN_UNIX_SOCKET_DIR to a shorter one")
    return path


async def _listen_tcp(server: Server, context: ssl.SSLContext | None) -> int:
    if context is None:
        raise ServeError("a host that connects over TCP must offer PLUGIN_CLIENT_CERT (AutoMTLS)")
    first, last = (
        int(os.environ.get(f"PLUGIN_{end}_PORT", default)) for end, default in (("MIN", 10000), ("MAX", 25000))
    )
    for port in range(first, last + 1):
        with suppress(OSError):  # taken: the next one
            await server.start("127.0.0.1", port, ssl=context)
            return port
    raise ServeError(f"no port between {first} and {last} is free")


def _remove(path: Path | None) -> None:
    if path is None:
        return
    path.unlink(missing_ok=True)
    if not os.environ.get("PLUGIN_UNIX_SOCKET_DIR"):
        with suppress(OSError):  # ours, made by mkdtemp; somebody put a file there
            path.parent.rmdir()


def _heed_signals(asked: asyncio.Event) -> None:
    """Ctrl-C in the terminal is the host's to handle; a request to terminate is an orderly end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name != "nt":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)


async def _set_when_orphaned(asked: asyncio.Event) -> None:
    """A host that was killed cannot say so: its child finds itself with another parent."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(ORPHAN_CHECK_SECONDS)
    asked.set()


async def _last_output(output: Output) -> None:
    """Give what was printed last a moment to reach a host that listens."""
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    until = loop.time() + LAST_OUTPUT_SECONDS
    while not output.is_empty and loop.time() < until:
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)  # the answer to the last call is still in the socket's buffer
