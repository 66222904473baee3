"""`plugins install NAME…`, `plugins refresh`, `plugins remove NAME…`: plugins from the registry.

km-client plugins refresh                what the account may run is here afterwards, and nothing else runs
km-client plugins install slow-tools     also one that was removed, or that nobody at the service asked for yet
km-client plugins remove slow-tools      its files go; a refresh does not bring it back

What fails verification is kept aside and named by `plugins list`; what was installed before goes on.
"""

from __future__ import annotations

import difflib
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

import msgspec
from km_protocol.kmpkg import names

from km_client import output
from km_client.errors import ClientError
from km_client.output import printable
from km_client.registry import accounts, activation, quarantine
from km_client.registry.bringing import bring, may_be_had, summary
from km_client.registry.link import opened
from km_client.registry.locking import alone
from km_client.registry.place import Place
from km_client.registry.provisioning import Done, Wanted

WAIT_SECONDS = 60.0  # a customer's package takes the service less than a second, unless many wait


def add_arguments(install: ArgumentParser, refresh: ArgumentParser, remove: ArgumentParser) -> None:
    for verb in (install, remove):
        verb.add_argument("names", metavar="NAME", nargs="+")
    for verb in (install, refresh):
        verb.add_argument(
            "--wait", type=float, default=WAIT_SECONDS, metavar="SECONDS", help="for what is still being built"
        )
    for verb in (install, refresh, remove):
        verb.add_argument("--json", action="store_true", help="answer in JSON")


def install(args: Namespace) -> int:
    wanted = frozenset(_checked(args.names))
    with opened(accounts.destination()) as link:
        done = bring(link, Wanted(wanted), wait_seconds=args.wait)
    present = [build for _, build in activation.installed(link.place)]
    missing = sorted(wanted - {build.name for build in present} - {one.name for one in done.failed})
    if missing:
        raise _not_offered(missing, done)
    here = [f"{one.name} {one.version} is installed already." for one in present if one.name in wanted - _new(done)]
    return _tell(done, link.place, as_json=args.json, otherwise=here)


def refresh(args: Namespace) -> int:
    with opened(accounts.destination()) as link:
        done = bring(link, Wanted(), wait_seconds=args.wait)
    return _tell(done, link.place, as_json=args.json)


def remove(args: Namespace) -> int:
    place = accounts.place()
    present = {build.name for _, build in activation.installed(place)} if place else set()
    absent = sorted(set(_checked(args.names)) - present)
    if absent or place is None:
        message = f"{_listed(absent)} {'is' if len(absent) == 1 else 'are'} not installed from the registry"
        raise ClientError("not_installed", message, "`km-client plugins list` shows what is")
    with alone(place.lock_file):
        for name in args.names:
            activation.remove(activation.directory_of(place, name))
            quarantine.clear(place, name)
    if args.json:
        output.say_json({"removed": sorted(args.names)})
    else:
        output.say(f"Removed {_listed(args.names)}. A session that runs it now keeps it until its end.")
    return 0


def _new(done: Done) -> set[str]:
    return {build.name for build in done.installed}


def _tell(done: Done, place: Place, *, as_json: bool, otherwise: Sequence[str] = ()) -> int:
    """`otherwise` is said where there was nothing to do."""
    if as_json:
        output.say_json(_answer(done, place))
    else:
        nothing = otherwise or [_nothing(done), *may_be_had(done)]
        for line in summary(done) or nothing:
            output.wrapped(line, indent=2)
        for hint in dict.fromkeys(one.error.hint for one in done.failed if one.error.hint):
            output.wrapped(f"  hint: {hint}", indent=8)
    return max((one.error.exit_code for one in done.failed), default=0)


def _nothing(done: Done) -> str:
    count = len(done.standings.plugins)
    return (
        f"Nothing to do: {count} installed, as the registry has them."
        if count
        else "Nothing to do: no plugin is installed."
    )


def _answer(done: Done, place: Place) -> dict[str, Any]:
    return {
        "customer_id": place.customer_id,
        "installed": [msgspec.to_builtins(build) for build in done.installed],
        "failed": [
            {"name": one.name, "version": one.version, "code": one.error.code, "message": one.error.message}
            for one in done.failed
        ],
        "available": done.available,
        "offered": [{"name": one.name, "version": one.version, "sha256": one.sha256} for one in done.offered],
        "plugins": msgspec.to_builtins(done.standings.plugins),
        "received_bytes": done.received,
    }


def _checked(given: Sequence[str]) -> Sequence[str]:
    for name in given:
        if not names.is_plugin_name(name):
            message = f"`{printable(name)}` cannot be a plugin's name"
            raise ClientError("bad_plugin_name", message, f"a plugin is called by {names.HINT}")
    return given


def _not_offered(missing: Sequence[str], done: Done) -> ClientError:
    blocked = [f"`{name}` is blocked: {printable(why)}" for name in missing if (why := done.blocklist.why_absent(name))]
    if blocked:
        return ClientError("plugin_blocked", "; ".join(blocked), "wait for another version: a refresh brings it")
    message = f"the registry offers this account no {_listed(missing)} for this machine"
    known = {*done.available, *(offer.name for offer in done.offered)}
    close = [near for name in missing for near in difflib.get_close_matches(name, known, n=1)]
    if close:
        return ClientError("not_offered", message, f"did you mean {_listed(close)}?")
    return ClientError("not_offered", message, "see the spelling, and in the dashboard whether the tier includes it")


def _listed(given: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in given)
