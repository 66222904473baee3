"""Give MCP clients their configurations back, as they were before `km-client wrap`.

km-client unwrap cursor                this client, for this user
km-client unwrap --all                 everything that was ever wrapped here, in projects too
km-client unwrap --all --dry-run       show the change, write nothing

The bytes are those from before. Where the file was changed since, only our part of it goes and the rest stays.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from km_client.commands import wrap
from km_client.wrapping import backup, clients, coverage, wrapper
from km_client.wrapping.clients import ConfigFile

DONE = {"open": "not wrapped", "older": "unwrapped", "covered": "unwrapped", "unfit": "left alone"}
WOULD = {**DONE, "older": "would be unwrapped", "covered": "would be unwrapped"}


def add_arguments(parser: ArgumentParser) -> None:
    wrap.add_choice(parser, "unwrap")


def run(args: Namespace) -> int:
    files = wrap.chosen(args)
    if not args.project:
        files = coverage.once([*files, *_recorded(args)])
    results = [result for file in files if (result := wrapper.unwrap(file, dry_run=args.dry_run))]
    if args.json:
        return wrap.answer(args, results, {})
    return wrap.show(args, results, WOULD if args.dry_run else DONE)


def _recorded(args: Namespace) -> list[ConfigFile]:
    """The files of these clients that were wrapped, wherever they are."""
    named = {client.id: client for client in clients.named(args.clients)}
    return [ConfigFile(named[each.client], Path(each.path), True) for each in backup.every() if each.client in named]
