"""Run a plugin under `km-client monitor` in real sessions, and check what it got and what it tried.

    scripts/test/test-plugin-integration.sh --plugin console-logger
    scripts/test/test-plugin-integration.sh --plugin ./my-plugin --debug

NAME is a plugin in `plugins/`, DIR any plugin's directory (which is built), FILE a program beside its manifest or a
`.kmpkg`. Everything else is real and made for this run: a service on SQLite, an Enterprise and a Free customer, the
official MCP client, an MCP server, a laptop for each of four sessions. Exits with 0 only when the plugin handled every
message of them (or was not started, as its manifest asks), tried nothing that its manifest does not declare, and no
message was changed or lost on its account.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from km_plugin_sdk.errors import PluginError
from km_plugin_sdk.project import build, read_manifest
from km_protocol.errors import ManifestError, ProtocolError

from scripts.demo_service import DemoService, Login
from scripts.demo_steps import DemoError, say, wait_for
from scripts.demo_traffic import ERAS, DemoClient, Visit, real_server

ROOT = Path(__file__).resolve().parents[2]
TIERS = ("enterprise", "free")  # everything a plugin may ask for, and the least
SETTLE_SECONDS = 60.0
AT_REST = {"stopped", "not_entitled", "unavailable", "disabled", "refused"}
LOG_LINES = 40


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="km-integration-") as directory:
            problems = run(args, Path(directory))
    except KeyboardInterrupt:
        problems = ["stopped before the end"]
    except (DemoError, PluginError, ProtocolError) as error:
        problems = _told(error)
    for problem in problems:
        print(f"FAILED  {problem}", file=sys.stderr)
    if args.json:
        print(json.dumps({"ok": not problems, "problems": problems}))
    elif not problems:
        print("The plugin does what its manifest says.")
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/test/test-plugin-integration.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--plugin", required=True, metavar="NAME|DIR|FILE", help="the plugin to run")
    parser.add_argument("--debug", action="store_true", help="run it with --debug, and show what it wrote")
    parser.add_argument("--quick", action="store_true", help="one session instead of four")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    return parser


def _told(error: DemoError | PluginError | ProtocolError) -> list[str]:
    if isinstance(error, ManifestError):
        return [f"{problem.path}: {problem.message}" for problem in error.problems]
    hint = getattr(error, "hint", "")
    return [f"{error}" + (f" (hint: {hint})" if hint else "")]


def run(args: argparse.Namespace, directory: Path) -> list[str]:
    """Every step, in order; what is wrong with the plugin."""
    options = ["--plugin", str(ready(args.plugin)), *(["--debug"] if args.debug else [])]
    server, problems = real_server(), []
    tiers, eras = (TIERS[:1], ERAS[-1:]) if args.quick else (TIERS, ERAS)
    with DemoService(directory / "service", 0) as service:
        for tier in tiers:
            login = service.create_customer(tier)
            for era in eras:
                with DemoClient(directory / f"{tier}-{era}") as laptop:
                    laptop.init(login.api_key, service.url)
                    row, found = session(service, login, laptop.visit(server, era, *options), laptop)
                    problems += [f"{tier.title()}, {era}: {each}" for each in found]
                    if found or args.debug:
                        show_log(laptop, row["name"])
    return problems


def ready(plugin: str) -> Path:
    """What `monitor --plugin` is given. A directory is built first. Raises `DemoError` when there is nothing there."""
    path = next((each for each in (Path(plugin), ROOT / "plugins" / plugin) if each.exists()), None)
    if path is None:
        raise DemoError(f"there is no plugin `{plugin}`: neither a path nor the name of one in plugins/")
    path = path.resolve()
    if path.is_dir():
        manifest = read_manifest(path)
        build(path)
        say(f"{manifest.name} {manifest.version} ({manifest.runtime}) is valid and was built.")
    return path


def session(service: DemoService, login: Login, visit: Visit, laptop: DemoClient) -> tuple[dict[str, Any], list[str]]:
    """The plugin's row once the session is over, and what is wrong with it."""
    wait_for(
        lambda: service.stored(login, visit.session_id) == visit.relayed,
        within=SETTLE_SECONDS,
        what=f"all {visit.relayed} messages of session {visit.session_id} are stored once",
    )
    row = at_rest(laptop)
    return row, judged(row, visit.relayed)


def at_rest(laptop: DemoClient) -> dict[str, Any]:
    """The plugin's row of `plugins list` once its one session is over and it is done with it."""
    rows: list[dict[str, Any]] = []

    def is_done() -> bool:
        rows[:] = json.loads(laptop.km_client("plugins", "list", "--json").stdout)["plugins"]
        return len(rows) == 1 and rows[0]["state"] in AT_REST

    wait_for(is_done, within=SETTLE_SECONDS, what="the plugin is done with its session")
    return rows[0]


def judged(row: dict[str, Any], relayed: int) -> list[str]:
    """What is wrong, from its row. Says what is well."""
    name = row["name"]
    if row["state"] == "not_entitled":
        say(f"{name} was not started, as its manifest asks: it needs {', '.join(row['missing_features'])}.")
        return []
    problems = []
    if row["state"] != "stopped":
        trouble = row["trouble"] or {"message": "no reason was given"}
        problems.append(f"{name} is {row['state']}: {trouble['message']}")
    if row["handled"] != relayed:
        problems.append(f"of {relayed} messages it handled {row['handled']} (failed {row['failed']}, {row['dropped']})")
    if row["crashes"]:
        problems.append(f"it crashed {row['crashes']} times")
    problems += [
        f"it tried what its manifest does not declare: {each['call']} {each['target']} ({each['count']} times)"
        for each in row["attempted"]
    ]
    if not problems:
        features = ", ".join(row["features"]) or "none"
        say(f"{name} handled all {relayed} messages (features: {features}) and tried nothing it did not declare.")
    return problems


def show_log(laptop: DemoClient, name: str) -> None:
    lines = laptop.km_client("plugins", "logs", name).stdout.splitlines()
    say(f"The last of what {name} wrote ({len(lines)} lines):")
    for line in lines[-LOG_LINES:]:
        say(f"  | {line}")


if __name__ == "__main__":
    sys.exit(main())
