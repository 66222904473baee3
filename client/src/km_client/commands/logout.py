"""Disconnect this machine: give its key back to the server and forget it here.

    km-client logout

A key that `km-client login` got is revoked; one that was issued by hand is only forgotten, because other machines may
have it too. Recordings stay; those not yet shipped wait for the next login. Plugins stay installed.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from km_protocol.api_keys import ApiKey, display, kind

from km_client import config, credentials, output
from km_client.agent.api import Answer, Api, UnreachableError
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
    is_revoked = _give_back(found.api_key) if is_login and not args.offline else False
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


def _give_back(key: ApiKey) -> bool:
    """Whether the server refuses the key from now on. Raises `ClientError` while that cannot be known."""
    url = config.load({}).api_url
    api = Api(url, key)
    try:
        answer = api.log_out()
    except UnreachableError as error:
        raise ClientError(
            "unreachable", f"the key is not given back: {error}", "try again, or use --offline and revoke it there"
        ) from None
    finally:
        api.close()
    if answer.status == 401:  # it does not work any more: somebody was first
        return True
    if answer.status != 200:
        raise _refusal(url, answer)
    return answer.field("revoked") is True


def _refusal(url: str, answer: Answer) -> ClientError:
    code, message, _ = answer.error()
    return ClientError(
        code or "not_given_back",
        f"the key is not given back: {url} answered {answer.status} {message}".rstrip(),
        "try again, or use --offline and revoke it in the dashboard",
    )
