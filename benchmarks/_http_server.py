"""What the HTTP benchmarks talk to, and compare with: a server of raw bytes, and a pump that reads none of them.

    python -m benchmarks._http_server             answers a POST by its length; `/stream` with events, each timed;
                                                  `/tools` with `TOOLS`
    python -m benchmarks._http_server stdio       answers each line with `TOOLS`
    python -m benchmarks._http_server pump PORT   passes the bytes of each connection on to that port, unread

Either prints the port it listens on.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

SMALL = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"' + b"x" * 520 + b'"}],"isError":false}}'
TOOLS = 100
EVENTS = 50
GAP_SECONDS = 0.004


def list_of_tools() -> bytes:
    """An answer to `tools/list` of the size that large servers give: 790 bytes a tool."""
    words = "Reads what the arguments name and answers with it, as it is, in parts where it is long. "
    fields = {name: {"type": "string", "description": words} for name in ("path", "owner", "branch")}
    schema = {"type": "object", "properties": fields, "required": ["path"], "additionalProperties": False}
    tools = [{"name": f"tool_{n}", "description": words * 3, "inputSchema": schema} for n in range(TOOLS)]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}, separators=(",", ":")).encode()


def main() -> None:
    if sys.argv[1:] == ["stdio"]:
        answer_lines()
        return
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    serve = answer if len(sys.argv) < 2 else lambda connection: pump_both(connection, int(sys.argv[2]))
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def answer_lines() -> None:
    line = list_of_tools() + b"\n"
    while sys.stdin.buffer.readline():
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def answer(connection: socket.socket) -> None:
    """Serve requests until the client leaves."""
    data = b""
    large = b""
    tools = list_of_tools()
    while True:
        while b"\r\n\r\n" not in data:
            try:
                more = connection.recv(65536)
            except ConnectionResetError:  # it left without a word
                return
            if not more:
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        left = length - len(data)
        data = b""
        while left > 0:
            left -= len(connection.recv(min(left, 262144)))
        if b" /stream" in head:
            stream(connection)
        elif b" /tools" in head:
            connection.sendall(json_head(len(tools)) + tools)
        elif length > 1_000_000:
            large = large or SMALL[:60] + b"x" * (length - 60)
            connection.sendall(json_head(len(large)) + large)
        else:
            connection.sendall(json_head(len(SMALL)) + SMALL)


def json_head(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length


def stream(connection: socket.socket) -> None:
    """Each event says when it was sent, by the monotonic clock."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(EVENTS):
        time.sleep(GAP_SECONDS)
        event = b'data: {"method":"n","params":{"ns":%d}}\n\n' % time.monotonic_ns()
        connection.sendall(b"%x\r\n%b\r\n" % (len(event), event))
    connection.sendall(b"0\r\n\r\n")


def pump_both(client: socket.socket, port: int) -> None:
    server = socket.create_connection(("127.0.0.1", port))
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)


def pump(source: socket.socket, sink: socket.socket) -> None:
    buffer = memoryview(bytearray(262144))
    while size := source.recv_into(buffer):
        sink.sendall(buffer[:size])
    sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
