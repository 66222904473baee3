"""`km-client plugins verify FILE`: whether a signed package may run, offline, check by check.

km-client plugins verify km-plugin-my-plugin-3f9a0c41d2e8.kmpkg              by the trust the last refresh left here
km-client plugins verify any.kmpkg --trust trust.json --customer cus_… --verbose

Exits with 0 when it may, 2 when no issuer signed it, 3 when it is not what was signed, 4 when it is another customer's,
5 when it was not reviewed, 6 when it expired, 7 when it is blocked; 1 when it could not be looked at.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from km_client import output, paths
from km_client.errors import ClientError

if TYPE_CHECKING:
    from km_protocol.kmpkg.trust import TrustPolicy
    from km_protocol.kmpkg.verify import Step, VerifiedPackage, VerifyError

TRUST_FILE = "trust.json"
_REFRESH = "`km-client init`, and later `km-client plugins refresh`, fetch it; or name a file: `--trust FILE`"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="a package, such as km-plugin-….kmpkg")
    parser.add_argument("--verbose", action="store_true", help="print every check")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--trust", metavar="FILE", type=Path, help="whom to trust (default: as of the last refresh)")
    parser.add_argument("--customer", metavar="ID", help="whose it must be (default: the trust's customer)")


def run(args: Namespace) -> int:
    from km_protocol.kmpkg.verify import Exit, VerifyError, verify  # noqa: PLC0415 - only this verb verifies

    policy = _policy(args.trust, args.customer)
    if not args.file.is_file():  # opening anything else could wait for ever
        raise ClientError("no_package", f"there is no package at `{output.printable(str(args.file))}`")
    try:
        found = verify(args.file, policy, at=datetime.now(UTC))
    except OSError as error:
        raise ClientError("file_error", f"`{output.printable(str(args.file))}`: {error.strerror}") from None
    except VerifyError as error:
        return _refuse(args, error)
    if args.json:
        output.say_json(_told(found))
    else:
        _show(found, verbose=args.verbose)
    return Exit.OK


def _policy(file: Path | None, customer: str | None) -> TrustPolicy:
    policy = _read(file) if file else _cached(customer)
    return replace(policy, customer_id=customer) if customer else policy


def _read(path: Path) -> TrustPolicy:
    from km_protocol.errors import TrustError  # noqa: PLC0415 - see above
    from km_protocol.kmpkg import trust  # noqa: PLC0415

    try:
        return trust.read(path.read_bytes())
    except OSError as error:
        raise ClientError("no_trust", f"`{output.printable(str(path))}`: {error.strerror}", _REFRESH) from None
    except TrustError as error:
        where = output.printable(f"`{path}`: {error}")
        raise ClientError("invalid_trust", where, error.hint) from None


def _cached(customer: str | None) -> TrustPolicy:
    """What a refresh wrote for the one customer whose packages come here, or for the one that was named."""
    files = trust_files(paths.data_dir() / "registry")
    policies = [policy for policy in map(_read, files) if customer in {None, policy.customer_id}]
    if not policies:
        raise ClientError("no_trust", "this machine has not been told yet whose packages to trust", _REFRESH)
    if len(policies) > 1:
        names = ", ".join(f"`{policy.customer_id}`" for policy in policies)
        raise ClientError(
            "which_customer", f"packages of several customers come here: {names}", "name one: `--customer`"
        )
    return policies[0]


def trust_files(registry: Path) -> Sequence[Path]:
    """Where a refresh leaves what it learnt: one file for each customer of each server."""
    return sorted(path for path in (registry / TRUST_FILE, *registry.glob(f"*/{TRUST_FILE}")) if path.is_file())


def _refuse(args: Namespace, error: VerifyError) -> int:
    if args.json:
        output.say_json(
            {
                "ok": False,
                "exit_code": int(error.exit_code),
                "code": error.code,
                "message": error.message,
                "hint": error.hint,
                "steps": _listed(error.steps),
            }
        )
        return error.exit_code
    if args.verbose:
        _print(error.steps)
    message = output.printable(f"`{args.file}`: {error.message}")
    raise ClientError(error.code, message, error.hint, exit_code=error.exit_code)


def _told(found: VerifiedPackage) -> dict[str, Any]:
    stated = found.statement
    return {
        "ok": True,
        "exit_code": 0,
        "name": stated.name,
        "version": stated.version,
        "platform": stated.platform,
        "sha256": found.sha256,
        "payload_digest": found.payload_digest,
        "customer_id": stated.customer_id,
        "build_id": stated.build_id,
        "expires_at": stated.expires_at,
        "issuers": found.issuers,
        "reviewers": found.reviewers,
        "steps": _listed(found.steps),
    }


def _show(found: VerifiedPackage, *, verbose: bool) -> None:
    if verbose:
        _print(found.steps)
    stated = found.statement
    output.say(f"{stated.name} {stated.version} is sound.")
    rows = (
        ("built for", f"{stated.customer_id}, {stated.platform}, until {stated.expires_at}"),
        ("payload digest", found.payload_digest),
        ("signed by", ", ".join(found.issuers)),
        ("reviewed by", ", ".join(found.reviewers)),
    )
    output.pairs((f"  {name}", value) for name, value in rows)


def _print(steps: Iterable[Step]) -> None:
    for step in steps:
        output.wrapped(f"{'ok' if step.ok else 'FAILED':6}  {step.name:10}  {output.printable(step.detail)}", indent=20)


def _listed(steps: Iterable[Step]) -> list[dict[str, Any]]:
    return [step._asdict() for step in steps]
