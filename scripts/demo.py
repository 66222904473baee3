"""The main job, end to end, with real parts: watch a real MCP server, store every message, look at it.

    $ scripts/demo                  leaves the service up, prints its address and the login; Ctrl-C stops it
    $ scripts/demo --once --json    stops at the end; its last line is
    {"ok": true, "events_relayed": 46, "events_stored": 46, "events_lost": 0, "server": "mcp-server-git 2026.10.19",
     "dashboard_url": "http://127.0.0.1:8318/app/"}

What was relayed is counted by two recording tees, one on each side of `km-client monitor`, not by the product itself.
Any step that fails ends the run with exit code 1 and says which one. Everything it makes is in one directory.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.demo_service import DEFAULT_PORT, DemoService, Login
from scripts.demo_steps import DemoError, say, wait_for
from scripts.demo_traffic import ERAS, DemoClient, Visit, real_server

STORE_SECONDS = 60.0  # a laptop's agent ships within two seconds; the rest is a slow machine


def main() -> int:
    args = arguments()
    signal.signal(signal.SIGTERM, _stop)
    try:
        with _directory(args.data_dir) as directory:
            return run(args, directory)
    except DemoError as error:
        return _failed(args, str(error))
    except KeyboardInterrupt:
        return _failed(args, "stopped before the end")
    except Exception as error:  # noqa: BLE001 - the boundary: whatever failed, the last line says so
        return _failed(args, f"{type(error).__name__}: {error}")


def _failed(args: argparse.Namespace, error: str) -> int:
    print(f"error: {error}", file=sys.stderr)
    if args.json:
        print(json.dumps({"ok": False, "error": error}))
    return 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Watch a real MCP server and see its messages.")
    parser.add_argument("--once", action="store_true", help="stop when everything was stored and shown")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"the page's port (default {DEFAULT_PORT})")
    parser.add_argument("--data-dir", type=Path, help="keep the demo's data here (default: a temporary directory)")
    return parser.parse_args()


def run(args: argparse.Namespace, directory: Path) -> int:
    """Every step, in order; the service and the agent are stopped on the way out."""
    server = real_server()
    with DemoService(directory / "service", args.port) as service:
        login = service.create_customer()
        with DemoClient(directory / "client") as client:
            client.init(login.api_key, service.url)
            visits = [client.visit(server, era) for era in ERAS]
            for visit in visits:
                wait_for(
                    lambda visit=visit: service.stored(login, visit.session_id) >= visit.relayed,  # type: ignore[misc]
                    within=STORE_SECONDS,
                    what=f"all {visit.relayed} messages of session {visit.session_id} are stored",
                )
            result = outcome(service, login, visits, server.title)
            service.check_pages(login, [visit.session_id for visit in visits])
            say("The dashboard shows both sessions.")
        report(args, result, login, visits)
        if not args.once:
            service.wait()
    return 0


def outcome(service: DemoService, login: Login, visits: list[Visit], server: str) -> dict[str, Any]:
    """The demo's result as the JSON line states it. Raises `DemoError` when a message was lost or stored twice."""
    relayed = sum(visit.relayed for visit in visits)
    stored = sum(service.stored(login, visit.session_id) for visit in visits)
    if stored != relayed:
        raise DemoError(f"{relayed} messages were relayed, but {stored} are stored")
    return {
        "ok": True,
        "events_relayed": relayed,
        "events_stored": stored,
        "events_lost": relayed - stored,
        "server": server,
        "dashboard_url": service.dashboard_url,
    }


def report(args: argparse.Namespace, result: dict[str, Any], login: Login, visits: list[Visit]) -> None:
    if not args.json or not args.once:
        print(summary(args, result, login, visits), flush=True)
    if args.json:
        print(json.dumps(result), flush=True)


def summary(args: argparse.Namespace, result: dict[str, Any], login: Login, visits: list[Visit]) -> str:
    """What a person reads at the end."""
    lines = ["", f"  Kilometers watched {result['server']}: {result['events_stored']} messages, none lost.", ""]
    lines += [
        f"    {visit.era:<10}  {visit.relayed:>4} messages  {visit.relayed_bytes:>9,} bytes  session {visit.session_id}"
        for visit in visits
    ]
    lines += ["", "  Each byte was the same on both sides of the relay.", ""]
    if not args.once:
        lines += [
            f"  Look     {result['dashboard_url']}",
            f"  Log in   {login.email}   {login.password}",
            "",
            "  Ctrl-C stops it." + ("" if args.data_dir else " Its data is then removed."),
            "",
        ]
    return "\n".join(lines)


@contextmanager
def _directory(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="kilometers-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def _stop(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
