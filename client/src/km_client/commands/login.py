"""Connect this machine to a Kilometers server by confirming a code in a browser: no key is copied by hand.

    km-client login                                       asks the server that is set, or the one of --api-url
    km-client login --api-url https://kilometers.example.com
    km-client login --no-browser                          for a machine without one: open the page on another

The machine gets a key of its own, which `km-client logout` here, or Settings → Machines in the dashboard, takes away
again. It is kept in a file that only you can read, or with --keyring in the keyring of your system.
"""

from __future__ import annotations

import os
import sys
import webbrowser
from argparse import ArgumentParser, Namespace
from pathlib import Path

from km_protocol.api_keys import ApiKey, display, kind

from km_client import account, config, connecting, credentials, device_login, output, paths
from km_client.account import Account
from km_client.agent.api import Api
from km_client.device_login import Begun
from km_client.entitlement.machine import machine_id
from km_client.errors import ClientError


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--api-url", metavar="URL", help="the server's address (or KM_API_URL)")
    parser.add_argument("--no-browser", action="store_true", help="open no browser here; show the address only")
    parser.add_argument("--keyring", action="store_true", help="keep the key in the system's keyring, not in a file")
    parser.add_argument(
        "--registry-root", metavar="FILE", type=Path, help="the registry's root (default: the server's)"
    )
    parser.add_argument("--no-plugins", action="store_true", help="install no plugins")
    parser.add_argument("--json", action="store_true", help="answer in JSON; the code goes to stderr")


def run(args: Namespace) -> int:
    url = config.load({"api_url": args.api_url}).api_url
    credentials.check_file()
    if args.keyring:
        credentials.check_keyring()
    before = _login_before()
    api = Api(url, "")
    try:
        begun = device_login.begin(api, machine=machine_id(paths.machine_file()))
        _show(begun, opens=not args.no_browser)
        logged_in = device_login.wait(api, begun)
    finally:
        api.close()
    key, kept = logged_in.key, _kept(url, logged_in.key, in_keyring=args.keyring)
    if before is not None:
        _end(*before)
    connected = connecting.connect(
        url, key, _known(url, key), kept=kept, with_plugins=not args.no_plugins, root=args.registry_root
    )
    connecting.tell(connected, in_json=args.json)
    if credentials.from_environment() is not None:
        output.warn(f"{credentials.VARIABLE} is set and goes before this login", "unset it")
    return 0


def _login_before() -> tuple[str, ApiKey] | None:
    """The login that this one takes the place of, and its server: by what is kept here, not by today's variables."""
    try:
        found = credentials.kept()
        return (config.load(environment={}).api_url, found.api_key) if found and kind(found.api_key) == "inst" else None
    except ClientError:  # it cannot be read, and is about to be replaced
        return None


def _kept(url: str, key: ApiKey, *, in_keyring: bool) -> str:
    """Where the key is. One that cannot be kept is given back: nobody has it, and it would be good for a year."""
    try:
        return connecting.keep(url, key, in_keyring=in_keyring)
    except ClientError:
        _end(url, key)
        raise


def _end(url: str, key: ApiKey) -> None:
    """Have the server refuse a key that is kept nowhere any more. Of the same account, it does so by itself."""
    try:
        device_login.give_back(url, key)
    except ClientError as error:
        words = f"the key starting `{display(key)}` is kept nowhere any more and still works: {error.message}"
        output.warn(words, f"revoke it in the dashboard of {url}, under Settings → API keys")


def _known(url: str, key: ApiKey) -> Account | None:
    """Whose key it is; `None` while that cannot be asked. A code gives its key once, so it is kept all the same."""
    try:
        return account.ask(url, key)
    except ClientError as error:
        output.warn(f"the login is confirmed, but whose it is cannot be asked: {error.message}", error.hint)
        return None


def _show(begun: Begun, *, opens: bool) -> None:
    """On stderr, so that it can be read whatever becomes of the answer. Both are the server's words."""
    is_opened = opens and _open(begun.complete_page)
    page = output.printable(begun.page if not is_opened else begun.complete_page)
    how = "A browser was opened at" if is_opened else "Open"
    sys.stderr.write(
        f"\n  {how} {page}\n  and confirm the code  {output.printable(begun.user_code)}\n\n"
        f"Waiting for up to {begun.expires_in / 60:.0f} minutes; Ctrl-C gives up.\n"
    )
    sys.stderr.flush()


def _open(page: str) -> bool:
    """Whether a browser was started. A server's word may be any text: only a web page is opened."""
    if not page.startswith(("https://", "http://")) or not _has_screen():
        return False
    try:
        return webbrowser.open(page)
    except webbrowser.Error:
        return False


def _has_screen() -> bool:
    """Where there is none, as over ssh, `webbrowser` would fill this terminal with a text browser."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
