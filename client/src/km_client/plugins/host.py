"""One plugin: started, fed, watched, started again within its budget, stopped.

The states and what leads from one to the next are in `lifecycle.py`. Whatever the plugin does, `offer` returns at once
and nothing here raises into the agent: it ends up in `status()` and in the plugin's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NoReturn

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from km_plugin_sdk.wire import plugin_pb2

from km_client.plugins.budget import RestartBudget
from km_client.plugins.confinement import Surroundings
from km_client.plugins.connection import DISCONNECTED
from km_client.plugins.errors import CrashError, PluginError, RefusedError
from km_client.plugins.event_queue import EventQueue
from km_client.plugins.feeding import Delivery, Feeder
from km_client.plugins.lifecycle import TAKES_EVENTS, Action, State, transition
from km_client.plugins.sandbox.attempts import Attempt
from km_client.plugins.session import Session
from km_client.plugins.settings import HUNG_AFTER_DEADLINES
from km_client.plugins.status import PluginStatus, Trouble

Configure = Callable[[str], plugin_pb2.PluginConfig]  # the plugin's key → its configuration, made anew each time
Monotonic = Callable[[], float]


class PluginHost:
    """Lives in one event loop; `offer` and `status` may be called from any thread."""

    def __init__(self, around: Surroundings, configure: Configure, monotonic: Monotonic) -> None:
        self._around, self._configure, self._monotonic = around, configure, monotonic
        self._loop = asyncio.get_running_loop()
        self._arrived, self._stop, self._outdated = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._queue = EventQueue(self._wake)
        self._delivery = Delivery()
        self._budget = RestartBudget(around.settings.back_off_seconds)
        self._state: State = "new"
        self._session: Session | None = None
        self._trouble: Trouble | None = None
        self._retry_at: float | None = None
        self._changed = asyncio.Condition()

    def offer(self, events: Iterable[tuple[plugin_pb2.StreamEvent, int]]) -> None:
        """Take (event, size) pairs for the plugin; never waits."""
        if self._state in TAKES_EVENTS:
            self._queue.offer(events)
        else:
            self._queue.drop(sum(1 for _ in events), "not_running")

    async def run(self) -> None:
        """From start to end: returns when the plugin is stopped, refused or disabled."""
        await self._become("start")
        while self._state == "starting":
            try:
                await self._one_session()
            except CrashError as error:
                await self._crashed(error)
            except RefusedError as error:
                await self._fail("refuse", error)
            except OSError as error:  # of the host's own: a full disk, no descriptors left
                await self._crashed(CrashError("host_io", f"the plugin could not be run: {error}"))
        self._queue.clear("not_running")
        self._around.log.close()

    def stop(self) -> None:
        """Ask for the end; `run` returns when it came."""
        self._stop.set()

    def reconfigure(self) -> None:
        """A running plugin is given its configuration anew; one that cannot take it is started anew, in order."""
        self._outdated.set()

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def is_idle(self) -> bool:
        """Nothing waits and no batch is under way, or it takes no events any more."""
        return self._state not in TAKES_EVENTS or self._queue.is_idle

    async def _one_session(self) -> None:
        session = self._session = Session(self._around)
        self._outdated.clear()  # what is asked for from here on was not yet known to `configure`
        try:
            if self._around.spec.before_start:
                await asyncio.to_thread(self._around.spec.before_start)
            if not await self._until_stopped(session.start(self._configure(self._around.key))):
                await self._become("stop")
                return
            self._budget.ready(at=self._monotonic())
            await self._become("ready")
            await self._until_stopped(self._serve(session))
            await self._become("stop" if self._stop.is_set() else "restart")
        finally:
            await session.close()
            if self._state == "stopping":
                await self._become("ended")

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run `work`; False when the plugin was stopped before it was done."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            return task.done()
        finally:
            for pending in (task, stop):
                pending.cancel()
            await asyncio.wait((task, stop))

    async def _serve(self, session: Session) -> None:
        """Until the plugin is lost (raises `CrashError`) or must be started anew (returns)."""
        feeder = Feeder(session, self._queue, self._arrived, self._delivery, self._around.log)
        tasks: list[asyncio.Future[None]] = [
            asyncio.ensure_future(feeder.run()),
            asyncio.ensure_future(self._keep_configured(session)),
            asyncio.ensure_future(self._check_health(session)),
            asyncio.ensure_future(self._watch_exit(session)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            feeder.end()
            done, _ = await asyncio.wait(tasks[:1], timeout=session.deadlines.call)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _watch_exit(self, session: Session) -> NoReturn:
        await asyncio.wait((session.process.exited,))
        raise await session.lost("")

    async def _check_health(self, session: Session) -> NoReturn:
        failures = 0
        while failures < HUNG_AFTER_DEADLINES:
            await asyncio.sleep(session.deadlines.health_every)
            failures = 0 if await session.connection.is_healthy(session.deadlines.health) else failures + 1
        raise CrashError("unhealthy", f"the plugin failed {failures} health checks in a row", "it hangs, or is stopped")

    async def _keep_configured(self, session: Session) -> None:
        """Returns when the plugin must be started anew to have its new token, features and tier."""
        takes_it = True
        while takes_it:
            await self._outdated.wait()
            self._outdated.clear()
            takes_it = await self._update_config(session)

    async def _update_config(self, session: Session) -> bool:
        """Whether the plugin goes on; one that is gone is noticed elsewhere."""
        config = session.complete(self._configure(self._around.key))
        request = plugin_pb2.UpdateConfigRequest(config=config)
        connection = session.connection
        try:
            answer = await connection.call(connection.plugin.UpdateConfig, request, session.deadlines.initialize)
        except GRPCError as error:
            failure = "" if error.status is Status.UNIMPLEMENTED else f"UpdateConfig failed: {error.message}"
        except TimeoutError:
            failure = f"UpdateConfig took longer than {session.deadlines.initialize:g} s"
        except DISCONNECTED as error:
            self._around.log.note(f"UpdateConfig failed: {error}")
            return True
        else:
            if answer.success:
                return True
            failure = f"refused its new configuration: {answer.error}"
        self._around.log.note(f"{failure or 'has no UpdateConfig'}; is started anew")
        return False

    async def _crashed(self, error: CrashError) -> None:
        wait = self._budget.after_crash(at=self._monotonic())
        if wait is None:
            await self._fail("give_up", error)
            return
        self._trouble = Trouble.of(error)
        self._retry_at = self._monotonic() + wait
        self._around.log.note(f"{error}; starts again in {wait:g} s")
        await self._become("crash")
        try:
            async with asyncio.timeout(wait):
                await self._stop.wait()
            await self._become("stop")
        except TimeoutError:
            await self._become("retry")
        self._retry_at = None

    async def _fail(self, action: Action, error: PluginError) -> None:
        self._trouble = Trouble.of(error)
        self._around.log.note(f"{error}; not started again. {error.hint}")
        await self._become(action)

    async def _become(self, action: Action) -> None:
        async with self._changed:
            self._state = transition(self._state, action)
            self._changed.notify_all()

    async def wait_for(self, *states: State) -> State:
        """The first of `states` it comes to."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._state in states)
            return self._state

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.set)

    def status(self) -> PluginStatus:
        session, spec = self._session, self._around.spec
        retry_at = self._retry_at
        attempts: list[Attempt] = self._around.attempts.rows()
        return PluginStatus(
            key=self._around.key,
            name=spec.name,
            version=str(spec.manifest.version),
            path=str(spec.path),
            state=self._state,
            pid=session.process.pid if session and self._state in {"running", "stopping"} else None,
            crashes=self._budget.crashes,
            retry_in_seconds=None if retry_at is None else max(0.0, retry_at - self._monotonic()),
            trouble=self._trouble,
            handled=self._delivery.handled,
            failed=self._delivery.failed,
            waiting=self._queue.waiting,
            dropped=self._queue.dropped(),
            permissions=spec.permissions,
            level=self._around.settings.level,
            guarantees=session.confinement.guarantees if session else (),
            attempts=attempts,
            attempts_unlisted=self._around.attempts.unlisted,
            log=str(self._around.log.path),
        )
