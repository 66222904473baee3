"""Show and change settings. Each value is shown with where it comes from: flag, environment, file or default.

km-client config                  every setting, as `km-client config list`
km-client config set redaction.patterns.ticket 'TICKET-[0-9]{6}'
km-client config set plugins.my-plugin.log_level debug
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from km_protocol.api_keys import display

from km_client import config, config_edit, credentials, output, paths, plugin_settings
from km_client.config import Sourced
from km_client.errors import ClientError
from km_client.settings import SETTINGS, Value, find

KEY_NAME = "api_key"  # kept in a file of its own, shown here in part


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(action="list", json=False)
    listing = verbs.add_parser("list", help="every setting, its value and its source")
    getting = verbs.add_parser("get", help="the value of one setting")
    setting = verbs.add_parser("set", help="write one setting to the file")
    unsetting = verbs.add_parser("unset", help="take one setting out of the file")
    path = verbs.add_parser("path", help="where the file is")
    for verb in (getting, setting, unsetting):
        verb.add_argument("name", metavar="NAME", help="the setting, such as `agent.idle_seconds`")
    setting.add_argument("value", metavar="VALUE", help="its new value")
    for verb in (listing, getting, setting, unsetting, path):
        verb.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: Namespace) -> int:
    actions = {"list": _list, "get": _get, "set": _set, "unset": _unset, "path": _path}
    actions[args.action](args)
    return 0


def _list(args: Namespace) -> None:
    found = _all()
    if args.json:
        output.say_json({name: {"value": value, "source": source} for name, (value, source) in found.items()})
        return
    rows = ((name, _shown(value), source, _purpose(name)) for name, (value, source) in found.items())
    output.table(("setting", "value", "from", "what"), rows)


def _get(args: Namespace) -> None:
    is_plugins = args.name.startswith(plugin_settings.PREFIX)
    found = config.load().find(args.name) if is_plugins else _all().get(args.name)
    if found is None:
        if not is_plugins:
            config.known(args.name, None)
        raise ClientError("not_set", f"`{args.name}` is not set", f"run `km-client config set {args.name} VALUE`")
    if args.json:
        output.say_json({"name": args.name, "value": found.value, "source": found.source})
    else:
        output.say(_shown(found.value))


def _set(args: Namespace) -> None:
    value = config_edit.set_value(args.name, args.value)
    setting = find(args.name)
    variable = setting.variable if setting else None
    found = config.load().find(args.name)
    source = found.source if found else config.DEFAULT
    if args.json:
        output.say_json({"name": args.name, "value": value, "in_force": source not in {variable, config.FLAG}})
    else:
        output.say(f"`{args.name}` is {_shown(value)} now.")
    if variable and source == variable:
        output.warn(f"the environment's {variable} goes before it", f"unset {variable}")


def _unset(args: Namespace) -> None:
    removed = config_edit.unset(args.name)
    if args.json:
        output.say_json({"name": args.name, "removed": removed})
    else:
        back = "is taken out" if args.name.startswith(plugin_settings.PREFIX) else "is back to its default"
        output.say(f"`{args.name}` {back}." if removed else f"`{args.name}` was not in the file.")


def _path(args: Namespace) -> None:
    path = paths.config_file()
    if args.json:
        output.say_json({"path": str(path), "exists": path.exists(), "credentials": str(paths.credentials_file())})
    else:
        output.say(str(path))


def _all() -> dict[str, Sourced]:
    found = dict(config.load().items())
    key = credentials.load()
    found[KEY_NAME] = Sourced(f"{display(key.api_key)}…", key.source) if key else Sourced("", config.DEFAULT)
    return found


def _purpose(name: str) -> str:
    if name == KEY_NAME:
        return "the key to ship with; `km-client init` sets it"
    if name.startswith(plugin_settings.PREFIX):
        return "for the plugin of that name"
    setting = SETTINGS.get(name) or find(name)
    return setting.purpose if setting else ""


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return ", ".join(value) if isinstance(value, tuple) else str(value)
