"""`monitor --url URL --listen HOST:PORT`: a reverse proxy on this machine, for MCP clients that speak HTTP.

    listening on http://127.0.0.1:39433/mcp for https://mcp.example.com/mcp          said on stderr
    {"listening": "http://127.0.0.1:39433/mcp", "url": "https://mcp.example.com/mcp"}   one line on stdout, for programs

The path is the server's: whatever is asked of the listener's origin goes to the server's origin, under the same path.
Only what of it is a secret is not in the address of the listener, and is put in its place on the way.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Callable
from ipaddress import ip_address

from km_client.errors import ClientError
from km_client.proxy.http.connection import Connection
from km_client.proxy.http.dialling import Dialler
from km_client.proxy.http.gateway import Gateway, refusal_of
from km_client.proxy.http.guard import Guard
from km_client.proxy.http.heads import BadMessageError
from km_client.proxy.http.session import Options, Recordings
from km_client.proxy.http.target import Target
from km_client.proxy.http.wire import Wire

MAX_CONNECTIONS = 400  # each holds two files; many systems give a process 1,024
BACKLOG = 128
BUSY = 503
STDOUT = 1
HINT = "give an address and a port of this machine: --listen 127.0.0.1:0 takes a free port"


async def listen(options: Options, recordings: Recordings) -> int:
    """Serve until cancelled. Raises `ClientError` when the address cannot be listened on."""
    host, port = parse_listen(options.listen or "")
    connections: set[asyncio.Task[None]] = set()
    gateways: list[Gateway] = []

    def opened(wire: Wire) -> None:
        if len(connections) >= MAX_CONNECTIONS:
            wire.send(refusal_of(BadMessageError("too many connections at once", BUSY)))
            wire.close()
            return
        task = asyncio.get_running_loop().create_task(Connection(wire, gateways[0]).serve())
        connections.add(task)
        task.add_done_callback(connections.discard)

    dialler = Dialler(options.target)
    server = await _bind(host, port, opened)
    address, port = server.sockets[0].getsockname()[:2]
    runs, say = recordings.runs, options.say
    guard, held = Guard(address, port), recordings.held()
    gateways.append(Gateway(dialler, guard, runs, options.headers, say, options.debug, held))
    await server.start_serving()
    _announce(options, address, f"http://{f'[{address}]' if ':' in address else address}:{port}")
    try:
        await server.serve_forever()
    finally:
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
    return 0


def parse_listen(text: str) -> tuple[str, int]:
    """`127.0.0.1:0`, `[::1]:8080`, or `localhost:8080` and `:8080`, which are 127.0.0.1. Raises `ClientError`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ClientError("bad_listen", f"--listen must be HOST:PORT, not `{text}`", HINT, exit_code=2)
    return "127.0.0.1" if host in ("", "localhost") else host, int(port)  # the name stands for two addresses


async def _bind(host: str, port: int, opened: Callable[[Wire], None]) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(
            lambda: Wire(opened),
            host,
            port,
            backlog=BACKLOG,
            start_serving=False,
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = "end the program that listens there, or take another port; 127.0.0.1:0 takes a free one"
            raise ClientError("port_in_use", f"--listen {host}:{port}: this port is in use", hint) from None
        what = f"--listen {host}:{port}: {error.strerror or error}"
        raise ClientError("cannot_listen", what, HINT) from None


def exposure(address: str, target: Target) -> str:
    """What to tell a person who listens beyond this machine; blank for a loopback address."""
    if ip_address(address.partition("%")[0]).is_loopback:
        return ""
    return (
        f"other machines may reach {address}, too, and use {target.shown} with what --url and --header hold; "
        "127.0.0.1 is for this machine alone"
    )


def _announce(options: Options, address: str, origin: str) -> None:
    target: Target = options.target
    here = origin + target.shown_endpoint
    options.say(f"listening on {here} for {target.shown}")
    if told := exposure(address, target):
        options.say(told)
    line = json.dumps({"listening": here, "url": target.shown}) + "\n"
    try:
        os.write(STDOUT, line.encode())
    except OSError:
        options.debug("nobody reads stdout")
