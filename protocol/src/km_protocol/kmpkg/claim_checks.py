"""The checks of `verify` that look at who says what of a package: its issuer, its reviewers, this machine's trust.

Each takes the case, sets what later checks use, and returns what it found in words; or raises a `ProtocolError`.
"""

from __future__ import annotations

from datetime import timedelta

from km_protocol.kmpkg import dsse, package, statements
from km_protocol.kmpkg.provenance import Provenance
from km_protocol.kmpkg.statements import Allowed, PackageStatement, ReviewStatement
from km_protocol.kmpkg.verification_case import Case, RefusedError, envelope, short

CLOCK_SKEW = timedelta(minutes=5)  # a machine's clock may be this far behind the server that signed


def signatures(case: Case) -> str:
    data = envelope(case, package.STATEMENT, "package_unsigned", "the package is not signed")
    opened = dsse.opened(data, case.policy.issuers, 1)
    case.issuers = opened.signers
    case.stated = statements.read(opened.payload, PackageStatement)
    data = envelope(case, package.PROVENANCE, "provenance_missing", "nothing says what the package was built from")
    case.provenance = statements.read(dsse.verify(data, case.policy.issuers, 1), Provenance)
    return f"signed by the issuer {', '.join(case.issuers)}"


def review(case: Case) -> str:
    policy, manifest = case.policy, case.package.manifest
    data = envelope(case, package.REVIEW, "review_missing", "nobody reviewed the package")
    opened = dsse.opened(data, policy.reviewers, policy.review_threshold)
    stated = statements.read(opened.payload, ReviewStatement)
    case.review, case.reviewers = stated.predicate, opened.signers
    _reviewed("payload", case.stated.payload_digest, stated.payload_digest)
    reviewed = f"{case.review.name} {case.review.version}"
    _reviewed("name and version", f"{manifest.name} {manifest.version}", reviewed)
    _reviewed("source", case.provenance.predicate.source_sha256() or "not told", case.review.source_sha256)
    _reviewed("manifest", case.statement.manifest_sha256, case.review.manifest_sha256)
    if case.review.permissions != Allowed.of(manifest.permissions):
        raise RefusedError("review_differs", "the manifest asks for other permissions than the review allowed")
    return f"signed by the reviewers {', '.join(case.reviewers)} on {case.review.reviewed_at}"


def _reviewed(what: str, found: str, reviewed: str) -> None:
    if found != reviewed:
        message = f"the {what} is {short(found)}, and {short(reviewed)} was reviewed"
        raise RefusedError("review_differs", message, "ask for a package that was reviewed")


def customer(case: Case) -> str:
    built_for, wanted = case.statement.customer_id, case.policy.customer_id
    if wanted is None:
        return f"built for {built_for}; not compared, for no customer was named"
    if built_for != wanted:
        message = f"the package was built for {built_for}, and this is {wanted}"
        raise RefusedError("wrong_customer", message, "`km-client plugins install` fetches your own")
    return f"built for {built_for}"


def expiry(case: Case) -> str:
    built, expires = statements.when(case.statement.built_at), statements.when(case.statement.expires_at)
    if case.at >= expires:
        message = f"the package expired on {case.statement.expires_at}"
        raise RefusedError("package_expired", message, "`km-client plugins refresh` fetches a new one")
    if case.at < built - CLOCK_SKEW:
        message = f"the package was built on {case.statement.built_at}, which is still to come"
        raise RefusedError("package_not_yet_valid", message, "set this machine's clock")
    return f"until {case.statement.expires_at}"


def blocklist(case: Case) -> str:
    for what, digest in (("package", case.sha256), ("payload", case.stated.payload_digest)):
        if digest in case.policy.blocked:
            message = f"the {what} {short(digest)} is blocked"
            raise RefusedError("package_blocked", message, "remove the plugin: `km-client plugins remove`")
    return f"not among {len(case.policy.blocked):,} blocked"
