"""A source that was sent becomes a revision, once.

    submit(customer, upload, visibility="", actor="key:key_0aXv…", at=moment)   → Submitted(revision, created=True)

The same source of the same version again is the same revision, whoever asks and however often; a withdrawn one comes
back. Another source of the same version is its next revision, which takes the place of the one before, and keeps its
place in the queue when it answers a request for changes. A version that passed its reviews takes no other source.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import structlog
from django.conf import settings
from django.core.files import File
from django.db import IntegrityError, transaction
from km_protocol.kmpkg.manifest import Manifest

from core.errors import Unavailable
from customers.models import Customer
from plugins_registry import states
from plugins_registry.errors import InvalidManifest, InvalidVisibility, TooManySubmissions, VersionDecided
from plugins_registry.lifecycle import DECIDED, UNDECIDED, Action, State
from plugins_registry.models import Plugin, Revision, Source, Version
from plugins_registry.plugin_names import plugin_for
from plugins_registry.uploads import Upload
from plugins_registry.wakeup import SCAN, after_commit

MAX_UNDECIDED = 100  # of one organisation; a queue that one author fills is no queue for the others
STORAGE_SECONDS = 300  # a full disk takes a person
RETRY_SECONDS = 3600  # reviews take hours
PYTHON_PLATFORMS = ("any",)

_log = structlog.get_logger(__name__)


class Submitted(NamedTuple):
    """`created` is false when this very source was there already."""

    revision: Revision
    created: bool


def submit(owner: Customer, upload: Upload, *, visibility: str, private: bool, actor: str, at: datetime) -> Submitted:
    """`private`: whether `owner` may have private plugins now.

    Raises what `plugin_for` does, `InvalidManifest`, `VersionDecided`, `TooManySubmissions`.
    """
    if visibility not in {"", *Plugin.Visibility.values}:
        raise InvalidVisibility("`visibility` is neither `public` nor `private`", "leave it out for `public`")
    if "+" in upload.source.manifest.version.text:
        raise InvalidManifest("$.version: a published version has no build metadata", "leave out what follows the `+`")
    source, name = _kept(upload, at), upload.source.manifest.name

    def once() -> Submitted:
        with transaction.atomic():
            return _submit(plugin_for(owner, name, visibility, private=private), upload, source, actor, at)

    try:
        return once()
    except IntegrityError:  # the same was sent twice at once, and the other one was first: now it is there
        return once()


def platforms_of(manifest: Manifest) -> list[str]:
    """What a payload is built for."""
    return list(settings.GO_PLATFORMS if manifest.runtime == "go" else PYTHON_PLATFORMS)


def _kept(upload: Upload, at: datetime) -> Source:
    """The source's row and file. The file is complete before the row names it: a crash leaves no row without a file."""
    found = Source.objects.filter(sha256=upload.sha256).first()
    if found is not None:
        return found
    storage = Source._meta.get_field("file").storage
    upload.file.seek(0)
    try:
        name = storage.save(f"sources/{upload.sha256[:2]}/{upload.sha256}.zip", File(upload.file))
    except OSError as error:
        _log.error("source_not_stored", sha256=upload.sha256, error=str(error))
        raise Unavailable(
            "the source cannot be stored now", "send it again later", retry_after=STORAGE_SECONDS
        ) from None
    kept, created = Source.objects.get_or_create(
        sha256=upload.sha256, defaults={"size": upload.size, "file": name, "created_at": at}
    )
    if not created:
        storage.delete(name)
    return kept


def _submit(plugin: Plugin, upload: Upload, source: Source, actor: str, at: datetime) -> Submitted:
    manifest = upload.source.manifest
    Plugin.objects.select_for_update().get(pk=plugin.pk)  # revisions of a plugin are numbered one after the other
    version, _ = Version.objects.get_or_create(plugin=plugin, number=manifest.version.text, defaults={"created_at": at})
    before = list(version.revisions.order_by("number"))
    same = next((each for each in before if each.source_id == source.pk), None)
    if same is not None:
        return Submitted(_again(same, before, actor, at), created=False)
    _check_room(version, before)
    revision = Revision.objects.create(
        version=version,
        number=before[-1].number + 1 if before else 1,
        source=source,
        manifest_json=upload.source.manifest_bytes.decode(),
        platforms=platforms_of(manifest),
        submitted_by=actor,
        submitted_at=at,
        state_since=at,
        queued_at=_place(before, at),
    )
    return Submitted(_enter(revision, before, actor, at), created=True)


def _again(revision: Revision, before: list[Revision], actor: str, at: datetime) -> Revision:
    """What was withdrawn starts anew, at the end of the queue, unless a newer revision took its place."""
    if revision.state != State.WITHDRAWN or revision.number != before[-1].number:
        return revision
    Revision.objects.filter(pk=revision.pk).update(submitted_by=actor, submitted_at=at, queued_at=at)
    revision.reviews.filter(latest=True).update(latest=False)
    return _enter(revision, [], actor, at)


def _enter(revision: Revision, before: list[Revision], actor: str, at: datetime) -> Revision:
    for older in before:
        if older.state in UNDECIDED:
            states.transition(older.pk, Action.SUPERSEDE, actor, at, by=revision.public_id)
    submitted = states.transition(revision.pk, Action.SUBMIT, actor, at, source=revision.source_id)
    after_commit(SCAN, submitted.pk)
    return submitted


def _check_room(version: Version, before: list[Revision]) -> None:
    decided = next((each for each in before if each.state in DECIDED), None)
    if decided is not None:
        raise VersionDecided(
            f"{version} is {State(decided.state).label}, from another source",
            "raise `version` in the manifest, or withdraw the revision while it is not built",
        )
    owner = version.plugin.owner
    under_way = Revision.objects.filter(version__plugin__owner=owner, state__in=UNDECIDED).count()
    if under_way >= MAX_UNDECIDED:
        raise TooManySubmissions(
            f"{under_way} submissions of {owner} are under way", "wait, or withdraw some", retry_after=RETRY_SECONDS
        )


def _place(before: list[Revision], at: datetime) -> datetime:
    """Whoever answers a request for changes goes on waiting where they stood."""
    last = before[-1] if before else None
    return last.queued_at if last is not None and last.state == State.CHANGES_REQUESTED else at
