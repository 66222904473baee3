"""Disconnect this machine: give its key back to the server and forget it here.

    km-client logout

A key that `km-client login` got is revoked; one that was issued by hand is only forgotten, because other machines may
have it too. Recordings stay; those not yet shipped wait for the next login. Plugins stay installed.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from km_protocol.api_keys import display, kind

from km_client import config, credentials, device_login, output
from km_client.errors import ClientError


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--offline", action="store_true", help="forget the key without telling the server, where it goes on to work"
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: Namespace) -> int:
    found = credentials.kept()
    if found is None:
        raise ClientError("not_logged_in", "this machine keeps no key", "`km-client login` gets one")
    is_login = kind(found.api_key) == "inst"
    given_back = is_login and not args.offline
    is_revoked = device_login.give_back(config.load({}).api_url, found.api_key) if given_back else False
    credentials.forget()
    if args.json:
        output.say_json({"key": display(found.api_key), "revoked": is_revoked})
        return 0
    output.say(f"The key starting `{display(found.api_key)}` is no longer kept in {found.source}.")
    if is_revoked:
        output.say("The server refuses it from now on.")
    else:
        output.say("It still works: revoke it in the dashboard, under Settings → API keys, unless others use it.")
    if credentials.from_environment() is not None:
        output.warn(f"{credentials.VARIABLE} is set and goes on to be used", "unset it")
    return 0
