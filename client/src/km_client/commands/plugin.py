"""Write a plugin: make a project, check its manifest, build it, submit it.

km-client plugin new --lang python slow-tools     a project that builds, tests and runs at once
km-client plugin validate slow-tools              every problem of its manifest, offline; exit 1 when there is one
km-client plugin build slow-tools                 the development build
km-client plugin try slow-tools                   once, confined, over the golden stream; exit 1 when it is not well
km-client plugin build --package slow-tools       slow-tools/dist/km-plugin-slow-tools-3f9a0c41d2e8.kmpkg
km-client plugin submit --dry-run slow-tools      which files would be sent to be reviewed
KM_API_KEY=… km-client plugin submit slow-tools   sends them; the key needs the scope `plugins:submit`
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from km_client import __version__
from km_client.errors import ClientError

if TYPE_CHECKING:
    from km_protocol.errors import Problem
    from km_protocol.kmpkg.manifest import Manifest

INVALID = 1


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="new|validate|build|try|submit")
    new = verbs.add_parser("new", help="make a project from a template")
    new.add_argument("name", metavar="NAME", help="lower-case words joined by `-`")
    new.add_argument("--lang", choices=("go", "python"), required=True)
    new.add_argument("--directory", type=Path, default=Path(), help="where to make it (default: here)")
    validate = verbs.add_parser("validate", help="report every problem of a manifest, offline")
    validate.add_argument("directory", metavar="DIR", type=Path)
    validate.add_argument("--json", action="store_true", help="print one JSON object")
    build = verbs.add_parser("build", help="make the development build")
    build.add_argument("directory", metavar="DIR", type=Path)
    build.add_argument("--package", action="store_true", help="put it into one file, DIR/dist/km-plugin-….kmpkg")
    trial = verbs.add_parser("try", help="run it once, strictly confined, over a recorded session")
    trial.add_argument("directory", metavar="DIR", type=Path)
    trial.add_argument("--json", action="store_true", help="print one JSON object")
    submit = verbs.add_parser("submit", help="send the source to the registry, to be reviewed")
    submit.add_argument("directory", metavar="DIR", type=Path)
    submit.add_argument("--private", action="store_true", help="a new plugin for your own organisation alone")
    submit.add_argument("--no-vendor", action="store_true", help="fail where Go modules are missing from `vendor/`")
    submit.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    submit.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Namespace) -> int:
    from km_plugin_sdk.errors import PluginError  # noqa: PLC0415 - only this verb needs the SDK
    from km_protocol.errors import ProtocolError  # noqa: PLC0415

    actions = {"new": _new, "validate": _validate, "build": _build, "try": _try, "submit": _submit}
    try:
        return actions[args.action](args)
    except (PluginError, ProtocolError) as error:
        raise ClientError(error.code, str(error), error.hint) from None
    except OSError as error:
        raise ClientError("file_error", f"{error.filename}: {error.strerror}") from None


def _new(args: Namespace) -> int:
    from km_plugin_sdk.project import create  # noqa: PLC0415

    made = create(args.name, args.lang, into=args.directory)
    test = "go test ./..." if args.lang == "go" else "python -m pytest"
    run_it = "  km-client monitor --plugin . -- YOUR-MCP-SERVER"
    _say(f"Made {made}. Next:", f"  cd {made}", f"  {test}", "  km-client plugin build .", run_it)
    return 0


def _build(args: Namespace) -> int:
    from km_plugin_sdk.project import build  # noqa: PLC0415

    if args.package:
        return _package(args.directory)
    entry = build(args.directory)
    _say(f"Built {entry}.")
    return 0


def _package(directory: Path) -> int:
    from km_plugin_sdk.packing import pack  # noqa: PLC0415

    packed = pack(directory)
    _say(
        f"Packed {packed.path}",
        f"  size:           {packed.size:,} bytes, {packed.files} file{'s' if packed.files != 1 else ''}",
        f"  SHA-256:        {packed.sha256}",
        f"  payload digest: {packed.payload_digest}",
        "  signed:         no; a development package, for `km-client monitor --plugin`",
    )
    return 0


def _try(args: Namespace) -> int:
    from km_client.plugins.trial_report import run  # noqa: PLC0415

    return run(args.directory, as_json=args.json)


def _submit(args: Namespace) -> int:
    from km_client.registry import submission  # noqa: PLC0415

    packed = submission.packed(args.directory, vendor=not args.no_vendor, tell=_note)
    if not args.json:
        _say(*submission.described(packed))
    if args.dry_run:
        _say(json.dumps(packed.as_json(), indent=2) if args.json else "Nothing was sent.")
        return 0
    received = submission.send(packed, visibility="private" if args.private else "")
    _say(*([json.dumps(received.answer, indent=2)] if args.json else received.in_words()))
    return 0


def _validate(args: Namespace) -> int:
    from km_plugin_sdk.project import read_manifest  # noqa: PLC0415
    from km_protocol.errors import ManifestError  # noqa: PLC0415

    problems: Sequence[Problem] = ()
    warnings: list[str] = []
    try:
        warnings = _warnings(read_manifest(args.directory), args.directory)
    except ManifestError as error:
        problems = error.problems
    if args.json:
        _say(json.dumps({"valid": not problems, "problems": _listed(problems), "warnings": warnings}, indent=2))
    else:
        _report(args.directory, problems, warnings)
    return INVALID if problems else 0


def _warnings(manifest: Manifest, directory: Path) -> list[str]:
    """What is no fault of the manifest, but will keep the plugin from running here and now."""
    from km_protocol.kmpkg.versions import Version  # noqa: PLC0415

    warnings = []
    if not manifest.compatibility.kilometers_cli.contains(Version.parse(__version__)):
        wanted = manifest.compatibility.kilometers_cli
        warnings.append(f"$.compatibility.kilometers_cli: `{wanted}` leaves out this km-client, {__version__}")
    if not (directory / manifest.entry).is_file():
        warnings.append(f"$.entry: `{manifest.entry}` is not there yet; run `km-client plugin build {directory}`")
    return warnings


def _listed(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"path": problem.path, "message": problem.message, "hint": problem.hint} for problem in problems]


def _report(directory: Path, problems: Sequence[Problem], warnings: Sequence[str]) -> None:
    for problem in problems:
        _say(str(problem))
        if problem.hint:
            _say(f"  hint: {problem.hint}")
    for warning in warnings:
        _say(f"warning: {warning}")
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    _say(f"{directory}: {count} in the manifest" if problems else f"{directory}: the manifest is valid")


def _note(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
