"""The filesystem broker delivers whole messages only, however early somebody looks."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection

from kmcloud import broker

MESSAGES = 200


@pytest.fixture
def connect(tmp_path: Path) -> Any:
    """Opens connections to one broker in a directory of its own."""
    broker.install()
    folders = dict.fromkeys(("data_folder_in", "data_folder_out", "control_folder"), str(tmp_path))
    return lambda: Connection("filesystem://localhost/", transport_options={**folders, "polling_interval": 0.001})


@pytest.fixture
def queue_name() -> str:
    """kombu remembers, for the whole process, which queues it has declared."""
    return f"queue-{uuid.uuid4()}"


def test_it_is_what_the_service_uses(connect: Any) -> None:
    with connect() as connection:
        assert isinstance(connection.transport, broker.Transport)


def test_a_reader_that_looks_all_the_time_gets_every_message_whole(connect: Any, queue_name: str) -> None:
    def write() -> None:
        with connect() as connection:
            queue = connection.SimpleQueue(queue_name)
            for number in range(MESSAGES):
                queue.put({"number": number})

    writer = threading.Thread(target=write)
    with connect() as connection:
        queue = connection.SimpleQueue(queue_name)
        writer.start()
        numbers: list[int] = []
        while len(numbers) < MESSAGES:
            message = queue.get(timeout=20)
            numbers.append(message.payload["number"])
            message.ack()
    writer.join()
    assert sorted(numbers) == list(range(MESSAGES))


def test_half_a_message_of_a_killed_process_is_passed_over(connect: Any, tmp_path: Path, queue_name: str) -> None:
    (tmp_path / f"00_half.{queue_name}.msg").write_text("")
    (tmp_path / f"01_half.{queue_name}.msg").write_text('{"body": ')
    with connect() as connection:
        queue = connection.SimpleQueue(queue_name)
        queue.put({"number": 7})
        message = queue.get(timeout=20)
        message.ack()
        assert message.payload == {"number": 7}
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".exchange"]
