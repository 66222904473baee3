"""The background process that ships recordings: start it, stop it, look at it.

It starts by itself with `km-client monitor` and leaves when there is nothing to do, so these are seldom needed.
"""

from __future__ import annotations

import os
import signal
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from km_client import output, paths
from km_client.agent import presence, state
from km_client.capture import lock
from km_client.errors import ClientError
from km_client.proxy.agent_starter import ensure_agent_running

START_SECONDS = 10.0  # a cold Python on a busy laptop
STOP_SECONDS = 12.0  # the agent gives the request under way five seconds
POLL_SECONDS = 0.05


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, purpose in (
        ("start", "start it if none runs"),
        ("stop", "end it; what is not shipped stays for the next"),
        ("status", "whether one runs"),
        ("run", "be the agent, in the foreground"),
    ):
        verb = verbs.add_parser(name, help=purpose, description=purpose)
        if name != "run":
            verb.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: Namespace) -> int:
    if args.action == "run":
        return _run()
    before = presence.running_pid()
    if args.action == "start":
        _start()
    elif args.action == "stop":
        _stop(before)
    return _report(args, before)


def _run() -> int:
    from km_client.agent import process  # noqa: PLC0415 - all that the agent needs; the other actions only look

    if not process.run(in_foreground=True):
        raise ClientError(
            "agent_runs",
            f"an agent already runs (process {presence.running_pid()})",
            "run `km-client agent stop` first",
        )
    return 0


def _start() -> None:
    try:
        was_started = ensure_agent_running()
    except OSError as error:
        raise ClientError("agent_start", f"the agent cannot be started: {error}", "run `km-client doctor`") from None
    if not was_started and presence.running_pid() is None:
        raise ClientError("agent_off", "no agent may be started: KM_AGENT says so", "unset KM_AGENT, and try again")
    if not _wait(lambda: presence.running_pid() is not None, START_SECONDS):
        raise ClientError(
            "agent_start", "the agent was started, but did not stay", f"read {paths.agent_dir() / 'agent.log'}"
        )


def _stop(pid: int | None) -> None:
    if not lock.is_held(paths.agent_lock()):
        return
    if pid is None:
        raise ClientError(
            "agent_unknown", "an agent runs, but its process id is not known", "end `python -m km_client.agent` by hand"
        )
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise ClientError("agent_stop", f"process {pid} belongs to another user", "stop it as that user") from None
    if not _wait(lambda: presence.running_pid() != pid, STOP_SECONDS):
        raise ClientError(
            "agent_stop",
            f"the agent (process {pid}) has not ended yet",
            f"wait, or run `kill -9 {pid}`: nothing is lost",
        )


def _report(args: Namespace, before: int | None) -> int:
    """What holds now. `status` exits 3 when no agent runs, as service managers do."""
    pid = presence.running_pid()
    if args.json:
        last = state.read(paths.agent_dir() / "state.json")
        since = last.started_at.isoformat() if last and pid == last.pid else None
        output.say_json({"running": pid is not None, "pid": pid, "since": since})
    elif pid is None:
        output.say(f"The agent has ended (process {before})." if before and args.action == "stop" else "No agent runs.")
    else:
        output.say(f"The agent runs (process {pid}).")
    return 3 if args.action == "status" and pid is None else 0


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
