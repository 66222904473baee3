"""One `monitor --url` process: its recordings, its end, and one of the two things it can be.

    run(listen, Options(target, listen="127.0.0.1:0", …))      a reverse proxy until a signal ends it
    run(bridge, Options(target, …))                            stdin and stdout to a server that speaks HTTP

Loaded only when `--url` is given: asyncio and TLS stand behind this module, and the start of a stdio server may not
wait for them.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from km_client.capture import cap
from km_client.capture.journal import SEGMENT_BYTES
from km_client.capture.recording import Recording
from km_client.pinning import choice
from km_client.proxy.housekeeping import Housekeeper
from km_client.proxy.http.heads import Headers
from km_client.proxy.http.runs import Runs
from km_client.proxy.http.target import Target
from km_client.proxy.session import AGENT_SECONDS, Say, bytes_from, failure_text, journal_directory

if TYPE_CHECKING:
    from km_client.pinning.pins import Walk
    from km_client.proxy.holding import Judge
    from km_client.proxy.http.held import HeldExchanges

SWEEP_SECONDS = 60.0
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")


@dataclass(frozen=True)
class Options:
    """`describe(run_id)` gives the content of `session.json`, `new_id()` a run id."""

    target: Target
    describe: Callable[[str], dict[str, object]]
    new_id: Callable[[], str]
    say: Say
    debug: Say
    listen: str | None = None
    transport: str = "auto"
    headers: Headers = field(default_factory=list)


class Recordings:
    """Where this process records: every run in a directory of its own, under one cap."""

    def __init__(self, options: Options) -> None:
        self._options = options
        say = options.say
        self._directory = journal_directory(say)
        self._segment_bytes = bytes_from("KM_JOURNAL_SEGMENT_BYTES", SEGMENT_BYTES, say)
        self._housekeeper = Housekeeper(self._directory, bytes_from("KM_JOURNAL_CAP_BYTES", cap.CAP_BYTES, say), say)
        self._housekeeper.start()
        self._has_complained = False
        self._holds: bool | None = None
        self._description: dict[str, object] = {}
        self.runs = Runs(self._open)

    def judge(self, walk: Walk | None = None) -> Judge | None:
        """What holds changed tools, if that is wanted; of a session whose lists `walk` keeps."""
        if self._holds is None:
            self._holds = choice.holds(self._options.say)
        if not self._holds:
            return None
        from km_client.pinning.pins import identity_of  # noqa: PLC0415 - only where it is wanted
        from km_client.proxy.holding import Judge  # noqa: PLC0415

        self._description = self._description or self._options.describe(self._options.new_id())
        return Judge(identity_of(self._description), self._options.say, walk)

    def held(self) -> HeldExchanges | None:
        """The same for a reverse proxy."""
        if self.judge() is None:
            return None
        from km_client.proxy.http.held import HeldExchanges  # noqa: PLC0415 - only where it is wanted

        return HeldExchanges(self.judge)

    def close(self, exit_code: int | None) -> None:
        self.runs.finish(exit_code)
        self._housekeeper.wait_for_agent(AGENT_SECONDS)

    def _open(self) -> Recording:
        run_id = self._options.new_id()
        self._description = description = self._options.describe(run_id)
        recording = Recording(
            self._directory / run_id,
            description,
            on_failure=self._failed,
            on_rotation=self._housekeeper.wake,
            segment_bytes=self._segment_bytes,
        )
        recording.start()
        self._options.debug(f"session {run_id}: recording in {Path(recording.directory)}")
        self._housekeeper.wake()  # an agent that left because nothing was to be done is called back
        return recording

    def _failed(self, error: OSError) -> None:
        if not self._has_complained:
            self._has_complained = True
            self._options.say(failure_text(error))


def run(work: Callable[[Options, Recordings], Awaitable[int]], options: Options) -> int:
    """Do `work` until it is done or a signal ends it. Returns the exit code. Raises `ClientError`."""
    recordings = Recordings(options)
    code: int | None = None
    try:
        code = asyncio.run(_until_signal(work(options, recordings), recordings.runs))
    finally:
        recordings.close(code)
    return code


async def _until_signal(work: Awaitable[int], runs: Runs) -> int:
    task = asyncio.ensure_future(work)
    caught: list[int] = []

    def end(number: int) -> None:
        caught.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for name in SIGNALS:
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) == signal.SIG_IGN:  # `nohup` stays in force
            continue
        if sys.platform == "win32":
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(end, number))
        else:
            loop.add_signal_handler(number, end, number)
    sweeping = asyncio.create_task(_sweep(runs))
    try:
        with suppress(asyncio.CancelledError):
            return await task
        return SIGNALLED + caught[0] if caught else 0
    finally:
        sweeping.cancel()


SIGNALLED = 128  # + the signal: what a shell says of a program that a signal ended


async def _sweep(runs: Runs) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        runs.sweep()
