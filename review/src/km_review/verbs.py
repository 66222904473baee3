"""The verbs: each opens the key where it needs one, asks the service, and says what happened."""

from __future__ import annotations

import base64
import binascii
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

import msgspec
from km_protocol.kmpkg import dsse, keys

from km_review import asking, certified, key_file, releases, words
from km_review.errors import ReviewError
from km_review.key_file import KeyFile
from km_review.payload import Examined, examined
from km_review.service import Service
from km_review.wire import Build, Shown

AGREED = "sign"


def new_key(args: Namespace) -> int:
    """Make a key. Its passphrase is asked for twice."""
    passphrase = asking.passphrase("New passphrase")
    if asking.passphrase("The same again") != passphrase:
        raise ReviewError("passphrases_differ", "the two passphrases differ", "try again")
    made = key_file.create(args.key, passphrase)
    _say(f"Made {args.key}", *_about(made), "Next: register it, from the operator's console: Reviewer keys → Register.")
    return 0


def show_key(args: Namespace) -> int:
    _say(str(args.key), *_about(_opened(args)))
    return 0


def register_key(args: Namespace) -> int:
    """Have the service remember the key's public half as this person's."""
    service = _service(args)
    registered = service.register(asking.answer("The challenge that the console shows"))
    _say(f"The key {words.plain(registered.key_id)} is registered for {words.plain(registered.reviewer)}.")
    return 0


def list_queue(args: Namespace) -> int:
    queue = _service(args).queue()
    _say(*([msgspec.json.encode(queue).decode()] if args.json else words.listed(queue.revisions)))
    return 0


def show(args: Namespace) -> int:
    revision = _service(args).revision(args.revision)
    _say(*([msgspec.json.encode(revision).decode()] if args.json else words.shown(revision)))
    return 0


def sign(args: Namespace) -> int:
    """Certify each payload that waits for this reviewer; every one is shown, and asked about."""
    key = _opened(args)
    service = Service(_address(args), key)
    revision = service.revision(args.revision)
    _say(*words.shown(revision))
    for build in _waiting(revision, args.platform):
        certified.remember(args.key, _sign_one(service, key, revision, build, args.expect))
    return 0


def release(args: Namespace) -> int:
    """Sign the changes of the catalog that wait for this reviewer: all are shown, then asked about once."""
    key = _opened(args)
    service = Service(_address(args), key)
    drafts = service.drafts().drafts
    if not drafts:
        _say("Nothing of the catalog waits for your signature.")
        return 0
    changes = [(draft, releases.read(draft)) for draft in drafts]
    certified_here = certified.digests(args.key)
    for _, change in changes:
        _say("", *releases.words_of(change, certified_here))
    if asking.answer(f"Type `{AGREED}` to sign {'this' if len(changes) == 1 else f'these {len(changes)}'}") != AGREED:
        raise ReviewError("not_signed", "nothing was signed")
    for draft, change in changes:
        accepted = service.sign_draft(draft, key.sign(change.signed))
        done = "published" if accepted.published else "it waits for another reviewer"
        _say(f"Signed {words.plain(draft.role)}: {done}.")
    return 0


def _sign_one(service: Service, key: KeyFile, revision: Shown, build: Build, expected: str | None) -> str:
    """The digest that was certified."""
    found = _fetched(service, revision, build)
    _say("", *_question(build.platform, found))
    if expected is not None and expected != found.digest:
        hint = "do not sign; find out where the two builds differ"
        raise ReviewError("digest_unexpected", f"the payload's digest is not the expected {expected}", hint)
    if asking.answer(f"Type `{AGREED}` to certify this payload") != AGREED:
        raise ReviewError("not_signed", "nothing was signed")
    signed = service.upload(revision.revision, build.platform, dsse.sign(found.statement, [key]))
    _say(f"Signed {words.plain(build.platform)}: {signed.signatures} of {signed.threshold} signatures.")
    return found.digest


def _fetched(service: Service, revision: Shown, build: Build) -> Examined:
    """The payload, downloaded and recomputed; it is thrown away after."""
    try:
        statement = base64.b64decode(build.statement, validate=True)
    except binascii.Error:
        raise ReviewError("bad_answer", "the statement is not base64", "check `--server`") from None
    with tempfile.TemporaryDirectory(prefix="km-review-") as directory:
        path = Path(directory) / "payload.kmpkg"
        service.fetch_payload(revision.revision, build.platform, path)
        found = examined(path, statement)
    review = found.review
    if (review.name, review.version) != (revision.plugin, revision.version):
        wrong = f"the payload is {review.name} {review.version}, not {revision.plugin} {revision.version}"
        raise ReviewError("another_plugin", words.plain(wrong), "do not sign; tell the operator")
    if review.source_sha256 != revision.source_sha256:
        wrong = "the statement is about another source than the revision's"
        raise ReviewError("another_source", wrong, "do not sign; tell the operator")
    return found


def _waiting(revision: Shown, platform: str | None) -> list[Build]:
    """What this reviewer may sign now. Raises `ReviewError` when that is nothing."""
    if revision.why_not:
        raise ReviewError("not_signable", f"nothing to sign: {words.plain(revision.why_not)}")
    chosen = [build for build in revision.builds if platform in (None, build.platform)]
    if not chosen:
        built = ", ".join(words.plain(build.platform) for build in revision.builds) or "none"
        raise ReviewError("no_payload", f"there is no payload for `{platform or 'any'}`", f"built are: {built}")
    waiting = [build for build in chosen if not build.signed_by_you]
    if not waiting:
        raise ReviewError("signed_already", "you have signed this already")
    return waiting


def _question(platform: str, found: Examined) -> list[str]:
    """What a signature will say, from the statement's own bytes and the recomputed digest."""
    review = found.review
    allowed = msgspec.to_builtins(review.permissions)
    asked = ", ".join(name for name, wanted in allowed.items() if wanted) or "none"
    return [
        f"To certify, {words.plain(platform)}:",
        f"  plugin:         {review.name} {words.plain(review.version)}",
        f"  permissions:    {asked}",
        f"  source:         {review.source_sha256}",
        f"  payload digest: {found.digest}",
        f"                  recomputed here from {found.files} file{'s'[: found.files != 1]}, {found.size:,} bytes",
    ]


def _service(args: Namespace) -> Service:
    address = _address(args)
    return Service(address, _opened(args))


def _address(args: Namespace) -> str:
    if not args.server:
        hint = "name it: `km-review --server https://km.example …`, or set KM_REVIEW_SERVER"
        raise ReviewError("no_server", "no service is named", hint, exit_code=2)
    return str(args.server)


def _opened(args: Namespace) -> KeyFile:
    key_file.check_there(args.key)
    return key_file.load(args.key, asking.passphrase(f"Passphrase of {args.key}"))


def _about(key: KeyFile) -> list[str]:
    return [f"  key id:     {key.keyid}", f"  public key: {keys.to_text(key.public)}"]


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
