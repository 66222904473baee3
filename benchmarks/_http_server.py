"""What the HTTP benchmark talks to, and compares with: a server of raw bytes, and a pump that reads none of them.

    python -m benchmarks._http_server             answers a POST by its length; `/stream` with events, each timed
    python -m benchmarks._http_server pump PORT   passes the bytes of each connection on to that port, unread

Either prints the port it listens on.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

SMALL = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"' + b"x" * 520 + b'"}],"isError":false}}'
EVENTS = 50
GAP_SECONDS = 0.004


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    serve = answer if len(sys.argv) < 2 else lambda connection: pump_both(connection, int(sys.argv[2]))
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    """Serve requests until the client leaves."""
    data = b""
    large = b""
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
