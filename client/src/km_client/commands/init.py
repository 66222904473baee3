"""Connect this machine to a Kilometers server: keep its address and an API key.

    km-client init                                        asks for both (`km-client login` needs no key)
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

from km_protocol.api_keys import ApiKey

from km_client import account, config, connecting, credentials
from km_client.errors import ClientError
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
    kept = connecting.keep(url, key)
    connected = connecting.connect(
        url, key, found, kept=kept, with_plugins=not args.no_plugins, root=args.registry_root
    )
    connecting.tell(connected, in_json=args.json)
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
