"""One command runs everything, outlives the death of any part, loses nothing acknowledged and leaves nothing behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from tests.events.samples import an_event, await_that, body_of
from tests.kmcloud.serving import MANAGE, Serving, serving

BATCH_EVENTS = 20
SENDERS = 4
NOBODY_LISTENS = 1  # a port for whom it takes root to listen at, and nobody does
BATCHES_BETWEEN = 25  # acknowledged between one kill and the next


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Serving]:
    """A service of one's own."""
    with serving(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One service for the tests that do it no harm, which began with no database: `serve` made and migrated it."""
    with serving(tmp_path_factory.mktemp("shared"), migrated=False) as running:
        yield running


def get(service: Serving, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*service.address, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Load:
    """Clients that send batches until stopped, and send each again until it is acknowledged, as `km-client` does."""

    def __init__(self, service: Serving, key: str) -> None:
        self._service = service
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._stopping = threading.Event()
        self._mutex = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(SENDERS)]
        self.acknowledged: set[str] = set()
        self.batches = 0
        self.failures = 0

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def await_batches(self, more: int) -> None:
        """Until `more` batches have been acknowledged from now on."""
        target = self.batches + more
        await_that(lambda: self.batches >= target, seconds=90)

    def _run(self, number: int) -> None:
        while not self._stopping.is_set():
            events = [an_event(session_id=f"s{number}") for _ in range(BATCH_EVENTS)]
            self._send_until_acknowledged(body_of(events), {event["id"] for event in events})

    def _send_until_acknowledged(self, body: bytes, ids: set[str]) -> None:
        while not self._stopping.is_set():
            if self._send(body) == 200:
                with self._mutex:
                    self.acknowledged |= ids
                    self.batches += 1
                return
            self.failures += 1
            self._stopping.wait(0.05)

    def _send(self, body: bytes) -> int:
        connection = http.client.HTTPConnection(*self._service.address, timeout=20)
        try:
            connection.request("POST", "/api/events", body, self._headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def kill_9(service: Serving, part: str) -> None:
    """Kill `web`, `worker`, or `web's worker`: the process in which granian runs Python."""
    name = part.split("'", maxsplit=1)[0]
    await_that(lambda: service.runs(name))
    process = service.child(name)
    if part != name:
        await_that(lambda: bool(process.children()))
    victim = process if part == name else process.children()[0]
    victim.kill()
    await_that(lambda: has_ended(victim))


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it was reaped between the two questions
        return True


def stored_ids(service: Serving) -> list[str]:
    await_that(lambda: service.ask("SELECT COUNT(*) FROM events_inboxentry") == [(0,)], seconds=60)
    return [row[0] for row in service.ask("SELECT id FROM events_event")]


def test_what_is_acknowledged_survives_kill_9_of_every_part_in_mid_load(service: Serving) -> None:
    with Load(service, service.make_key()) as load:
        for part in ["web", "worker", "web's worker"] * 2:
            load.await_batches(BATCHES_BETWEEN)
            kill_9(service, part)
        load.await_batches(BATCHES_BETWEEN)
    stored = stored_ids(service)
    assert load.acknowledged <= {str(UUID(each)) for each in stored}
    assert len(stored) == len(set(stored))
    for query in (
        "SELECT SUM(events) FROM events_session",
        "SELECT SUM(events) FROM events_hourlyrollup",
        "SELECT SUM(events) FROM events_dailyrollup",
        "SELECT SUM(stored) FROM events_dailyusage",
        "SELECT SUM(accepted) FROM events_dailyusage",
    ):
        assert service.ask(query) == [(len(stored),)], query


def test_a_stop_answers_what_is_under_way_and_leaves_no_process(service: Serving) -> None:
    processes = service.processes()
    assert len(processes) >= 4
    body = body_of([an_event() for _ in range(BATCH_EVENTS)])
    lines = ["POST /api/events HTTP/1.1", "Host: localhost", f"Authorization: Bearer {service.make_key()}"]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode()
    with socket.create_connection(service.address, timeout=20) as connection:
        connection.sendall(head + body[:50])
        assert get(service, "/livez")[0] == 200
        service.process.send_signal(signal.SIGTERM)
        connection.sendall(body[50:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert service.process.wait(15) == 0
    assert not [process for process in processes if process.is_running()]
    kept = service.ask("SELECT (SELECT SUM(events) FROM events_inboxentry), (SELECT COUNT(*) FROM events_event)")
    assert kept in ([(BATCH_EVENTS, 0)], [(None, BATCH_EVENTS)])


def test_ctrl_c_for_the_whole_group_is_clean_too(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        processes = service.processes()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):  # the supervisor, told first, has ended it already
                process.send_signal(signal.SIGINT)
        assert service.process.wait(15) == 0
        assert not [process for process in processes if process.is_running()]


def test_kill_9_of_the_supervisor_leaves_no_orphan(service: Serving) -> None:
    processes = service.processes()
    service.process.kill()
    service.process.wait()
    await_that(lambda: all(has_ended(process) for process in processes))


def test_a_broker_that_is_down_delays_events_and_no_request(tmp_path: Path) -> None:
    with serving(tmp_path, KM_BROKER_URL=f"redis://127.0.0.1:{NOBODY_LISTENS}/0") as service:
        with Load(service, service.make_key()) as load:
            load.await_batches(5)
        assert {str(UUID(each)) for each in stored_ids(service)} >= load.acknowledged
        health = json.loads(get(service, "/health")[1])
        assert (health["status"], health["checks"]["broker"]["status"]) == ("degraded", "degraded")
        assert get(service, "/readyz")[0] == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(15) == 0


def test_idle_connections_keep_nobody_out(shared: Serving) -> None:
    idle = [http.client.HTTPConnection(*shared.address, timeout=10) for _ in range(60)]
    try:
        for connection in idle:
            connection.request("GET", "/livez")
            connection.getresponse().read()
        assert get(shared, "/livez")[0] == 200
    finally:
        for connection in idle:
            connection.close()


def test_a_chunked_body_is_read(shared: Serving) -> None:
    key = shared.make_key()
    connection = http.client.HTTPConnection(*shared.address, timeout=10)
    parts = iter([body_of([an_event()])])
    connection.request("POST", "/api/events", parts, {"Authorization": f"Bearer {key}"}, encode_chunked=True)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert answer["accepted"] == 1


def test_every_probe_answers(shared: Serving) -> None:
    assert get(shared, "/livez") == (200, b'{"status":"ok"}')
    assert get(shared, "/readyz") == (200, b'{"status":"ok"}')
    await_that(lambda: json.loads(get(shared, "/health")[1])["status"] == "ok")
    assert b"km_inbox_rows" in get(shared, "/metrics")[1]


def test_what_it_sends_people_to_is_where_it_listens(shared: Serving) -> None:
    web = next(each for each in shared.processes() if "run_web" in each.cmdline())
    assert web.environ()["KM_PUBLIC_URL"] == shared.ready["url"]


def test_a_second_service_in_the_same_directory_is_refused(shared: Serving) -> None:
    second = subprocess.run(
        [*MANAGE, "serve", "--port", "0"], env=shared.environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert "already runs" in second.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        environment = {**os.environ, "KM_DATA_DIR": str(tmp_path)}
        done = subprocess.run(
            [*MANAGE, "serve", "--port", port], env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert port in done.stderr
    assert "--port 0" in done.stderr
