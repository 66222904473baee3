"""Whom this machine trusts: the first root of the catalog and of the customer's own repository, kept since `init`.

    pinned = pin_from_service(place, api, token)      trust on first use, over TLS; the fingerprint is shown
    pinned = pin_from_file(place, Path("root.json"), api, token)      whom somebody handed over by another way
    pinned.fingerprint                                "3f9a 0c41 d2e8 1b77 …": the same for every customer of a server

The catalog's root is what everything hangs on. The customer's own repository has a root of its own, which is believed
only if the catalog's root keys signed it. Later roots replace these two by TUF's rules: each signed by the one before.
A root once kept is never replaced by another first one; `forget` is for a person who knows why.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from km_client.agent.api import Api, UnreachableError
from km_client.atomic_file import replace_file
from km_client.registry.errors import RegistryError
from km_client.registry.place import PRIVATE, Place

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata, Root

MAX_BYTES = 64 * 1024
READ_SECONDS = 10.0
CATALOG, DIRECTOR = "catalog", "director"
_ASK = "ask who runs the server for its root file, and give it with `--registry-root FILE`"


class Pinned(NamedTuple):
    """The two roots, as they were first seen."""

    catalog: bytes
    director: bytes

    @property
    def fingerprint(self) -> str:
        """Of the catalog's root: what a person compares with what the operator published."""
        return fingerprint(self.catalog)


def fingerprint(root: bytes) -> str:
    """SHA-256 of the root file, in groups of four digits."""
    digits = hashlib.sha256(root).hexdigest()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def load(place: Place) -> Pinned | None:
    """What was pinned here; `None` before that. Raises `RegistryError` when half of it is gone."""
    try:
        catalog = (place.roots / "catalog.json").read_bytes()
    except FileNotFoundError:
        return None
    try:
        return Pinned(catalog, (place.roots / "director.json").read_bytes())
    except FileNotFoundError:
        message = f"half of what vouches for the registry is missing in {place.roots}"
        raise RegistryError("registry_root", message, "run `km-client init`, which fetches it again") from None


def pin_from_service(place: Place, api: Api, token: str) -> Pinned:
    """Believe the roots that the server itself gives, now and never again."""
    return _pin(place, _fetch(api, "/api/tuf/catalog/1.root.json", token), api, token)


def pin_from_file(place: Place, file: Path, api: Api, token: str) -> Pinned:
    """Believe the root in `file`; the server may only add what that one's keys signed."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES)
    except OSError as error:
        raise RegistryError("registry_root", f"`{file}` cannot be read: {error.strerror}", _ASK) from None
    before = load(place)
    if before and before.catalog != data:
        message = f"this machine already trusts another root, {before.fingerprint[:19]}…"
        hint = f"if the registry was set up anew, remove {place.directory} and run this again"
        raise RegistryError("registry_root", message, hint)
    return _pin(place, data, api, token)


def _pin(place: Place, catalog: bytes, api: Api, token: str) -> Pinned:
    """The catalog's is written last: while it is missing, nothing is trusted yet."""
    director = _fetch(api, f"/api/tuf/director/{place.customer_id}/1.root.json", token)
    _check(catalog, director)
    replace_file(place.roots / "director.json", director, mode=PRIVATE)
    replace_file(place.roots / "catalog.json", catalog, mode=PRIVATE)
    return Pinned(catalog, director)


def _fetch(api: Api, path: str, token: str) -> bytes:
    data = b""
    try:
        with api.download(path, token, read_seconds=READ_SECONDS) as (status, piece):
            if status == 404:
                raise RegistryError("registry_absent", f"{api.url} has no plugin registry", _ASK)
            if status != 200:
                raise RegistryError("registry_unreachable", f"{api.url}{path} answered {status}", "try again later")
            while (more := piece()) and len(data) <= MAX_BYTES:
                data += more
    except UnreachableError as error:
        raise RegistryError("registry_unreachable", str(error), "see that the server can be reached") from None
    if len(data) > MAX_BYTES:
        raise RegistryError("registry_root", f"{api.url}{path} has over {MAX_BYTES:,} bytes: this is no root", _ASK)
    return data


def _check(catalog: bytes, director: bytes) -> None:
    """Both are roots, each signed by its own keys, and the second one by the first one's."""
    from tuf.api.exceptions import RepositoryError  # noqa: PLC0415 - see the package's promise

    trusted, own = parsed(catalog, CATALOG), parsed(director, DIRECTOR)
    try:
        trusted.verify_delegate("root", trusted)
        own.verify_delegate("root", own)
        trusted.verify_delegate("root", own)
    except (RepositoryError, ValueError) as error:
        message = f"the registry's root is not signed as it must be: {error}"
        raise RegistryError("registry_root", message, _ASK) from None


def parsed(data: bytes, repository: str) -> Metadata[Root]:
    """Raises `RegistryError` for what is no root."""
    from tuf.api.exceptions import RepositoryError  # noqa: PLC0415 - see the package's promise
    from tuf.api.metadata import Metadata, Root  # noqa: PLC0415

    try:
        found = Metadata[Root].from_bytes(data)
        if found.signed.type != "root":
            raise RepositoryError(f"it is of the type {found.signed.type}")
    except RepositoryError as error:
        message = f"the root of the registry's {repository} is none: {error}"
        raise RegistryError("registry_root", message, _ASK) from None
    return found
