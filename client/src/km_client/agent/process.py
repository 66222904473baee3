"""The agent as a process: one per user, however many are started at once; it ends on SIGTERM or when idle.

The lock decides: it dies with its holder, so an agent killed at any moment leaves nothing to clean up. A session that
begins while an idle agent leaves is not missed: the relay makes its directory before it looks for an agent, and the
agent looks once more after it gave the lock back.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from logging.handlers import RotatingFileHandler
from types import FrameType

from km_client import paths
from km_client.agent.choices import ChoiceReader
from km_client.agent.service import Service, log_level
from km_client.capture import lock

LOG_BYTES = 1024 * 1024
LOCK_TRIES = 10  # those who only ask hold a shared lock for a moment, and may be met
LOCK_TRY_SECONDS = 0.02
_log = logging.getLogger(__name__)


def run(*, in_foreground: bool) -> bool:
    """Be the agent. Returns whether this process was it, or found another that is."""
    paths.make_private(paths.agent_dir())
    _set_up_log(in_foreground)
    was_agent = False
    while (fd := _take_lock()) >= 0:
        was_agent = True
        service = Service()
        try:
            _serve(service)
        finally:
            os.close(fd)
        if service.is_stopping or not service.has_work():
            break
    return was_agent


def _serve(service: Service) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        service.stop()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    _log.info("agent %d begins", os.getpid())
    try:
        service.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _log.info("agent %d ends", os.getpid())


def _take_lock() -> int:
    """The descriptor that holds the lock, with this process's id in the file; -1 if another agent has it."""
    fd = os.open(paths.agent_lock(), os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(LOCK_TRIES):
        if lock.hold(fd):
            _write_pid(fd)
            return fd
        time.sleep(LOCK_TRY_SECONDS)
    os.close(fd)
    return -1


def _write_pid(fd: int) -> None:
    try:
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, f"{os.getpid()}\n".encode())
    except OSError as error:
        _log.warning("the agent's process id cannot be written: %s", error.strerror)


def _set_up_log(in_foreground: bool) -> None:
    """To `agent.log`, and in the foreground to stderr as well. A disk that is full costs lines, nothing else."""
    logging.raiseExceptions = False
    handlers: list[logging.Handler] = [
        RotatingFileHandler(paths.agent_dir() / "agent.log", maxBytes=LOG_BYTES, backupCount=1, delay=True)
    ]
    if in_foreground:
        handlers.append(logging.StreamHandler(sys.stderr))
    logging.basicConfig(
        level=log_level(ChoiceReader().current()),
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=handlers,
        force=True,
    )
    for library in ("urllib3", "tuf"):  # TUF names every key that did not sign, as no one need
        logging.getLogger(library).setLevel(logging.WARNING)
