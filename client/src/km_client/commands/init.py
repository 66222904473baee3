"""Connect this machine to a Kilometers server: keep its address and an API key.

    km-client init                                        asks for both
    km-client init --api-key km_live_… --api-url https://kilometers.example.com
    echo "$KEY" | km-client init                          for scripts, so that no key stands in a process list
    km-client init --registry-root root.json              whom to trust about plugins, as the operator gave it to you

The key is checked here for typing mistakes, then with the server. Keys are kept in a file that only you can read. Then
the plugins that the account may run are installed. Without `--registry-root`, the registry's root is taken from the
server the first time and never again; compare its fingerprint with the one that the operator publishes.
"""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from km_protocol.api_keys import ApiKey, display

from km_client import account, config, config_edit, credentials, output, paths
from km_client.account import Account
from km_client.agent.delivery import Destination
from km_client.capture.spool import list_sessions
from km_client.errors import ClientError
from km_client.proxy.agent_starter import ensure_agent_running
from km_client.registry.errors import RegistryError
from km_client.registry.first_time import Provisioned, provision
from km_client.settings import SETTINGS


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--api-key", metavar="KEY", help="the key, as the dashboard showed it (or KM_API_KEY)")
    parser.add_argument("--api-url", metavar="URL", help="the server's address (or KM_API_URL)")
    parser.add_argument("--offline", action="store_true", help="keep both without asking the server")
    parser.add_argument(
        "--registry-root", metavar="FILE", type=Path, help="the registry's root (default: the server's)"
    )
    parser.add_argument("--no-plugins", action="store_true", help="install no plugins")
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: Namespace) -> int:
    key = _key(args.api_key)
    url = _url(args.api_url)
    found = None if args.offline else account.ask(url, key)
    config_edit.set_value("api_url", url)
    kept = credentials.save(key)
    waiting = len(list_sessions(paths.journal_dir()))
    started = _start_agent() if waiting else False
    plugins = None if found is None or args.no_plugins else _provision(url, key, found.customer_id, args.registry_root)
    if args.json:
        answer = _answer(url, key, found) | {"waiting_sessions": waiting, "agent_started": started}
        output.say_json(answer | {"registry": plugins.told() if plugins else None})
        return 0
    output.say(f"The key starting `{display(key)}` is kept in {kept}.")
    output.say(_who(url, found))
    if waiting:
        output.say(f"{waiting} recorded session{'s' if waiting > 1 else ''} will be shipped now.")
    for line in plugins.lines() if plugins else ():
        output.wrapped(line, indent=2)
    output.say(
        "\nNext, put `km-client monitor --` before the command of an MCP server in your MCP client, for example:"
    )
    output.say("  km-client monitor --server-name files -- npx -y @modelcontextprotocol/server-filesystem ~/notes")
    return 0


def _key(flag: str | None) -> ApiKey:
    """From the flag, the environment, or the person; never from the file, which is what `init` is to replace."""
    if flag is not None:
        return credentials.parse(flag, "the command line")
    found = credentials.from_environment()
    if found is not None:
        return found.api_key
    text = getpass.getpass("API key (not shown): ") if sys.stdin.isatty() else sys.stdin.readline()
    if not text.strip():
        raise ClientError(
            "no_api_key", "no API key was given", "create one in the dashboard, then run `km-client init --api-key KEY`"
        )
    return credentials.parse(text, "the input")


def _url(flag: str | None) -> str:
    settings = config.load({"api_url": flag})
    if flag is None and settings.source("api_url") == config.DEFAULT and sys.stdin.isatty():
        answer = input(f"Server address [{settings.api_url}]: ").strip()
        if answer:
            return str(config.checked(SETTINGS["api_url"], answer, "the input"))
    return settings.api_url


def _provision(url: str, key: ApiKey, customer_id: str, root: Path | None) -> Provisioned | None:
    """What came of the plugins; a server without a registry has none, and a failure undoes nothing of `init`."""
    try:
        return provision(Destination(url.rstrip("/"), key), customer_id, root)
    except RegistryError as error:
        if error.code != "registry_absent" or root is not None:
            output.warn(f"no plugins were installed: {error.message}", error.hint)
        return None


def _start_agent() -> bool:
    try:
        return ensure_agent_running()
    except OSError as error:
        output.warn(f"the agent cannot be started: {error}", "run `km-client doctor`")
        return False


def _who(url: str, found: Account | None) -> str:
    if found is None:
        return f"Nothing was asked of {url}; `km-client doctor` will."
    quota = f", {found.quota.limit:,} events a day" if found.quota and found.quota.limit else ""
    return f"{url} knows it: customer {found.customer_id}, tier {found.tier} ({found.status}){quota}."


def _answer(url: str, key: ApiKey, found: Account | None) -> dict[str, object]:
    return {
        "api_url": url,
        "key": display(key),
        "checked": found is not None,
        "customer_id": found.customer_id if found else None,
        "tier": found.tier if found else None,
        "status": found.status if found else None,
    }
