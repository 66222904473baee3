"""The two repositories of one customer, refreshed: what may run here, and what the reviewers say of it.

    with alone(place.lock_file), Repositories.opened(place, pinned, api, token) as found:
        found.refresh()                     raises `RegistryError`; what was believed before stays
        found.offers("linux-amd64")         [Offer(name="slow-tools", version="1.2.0", …)]
        found.policy()                      whose signatures count on a package
        found.fetch(offer, path, progress)  the package, of exactly the signed size and digest

The **director** is signed by the server's own keys: it says which builds this customer may run now. The **catalog** is
signed by people: it says what passed their review. An offer is what both agree on: with every key of the server stolen,
changed code has no place in the catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from km_protocol.kmpkg.trust import TrustPolicy
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.ngclient import Updater, UpdaterConfig

from km_client import paths
from km_client.agent.api import Api
from km_client.registry import trust
from km_client.registry.blocklist import Blocklist
from km_client.registry.errors import RegistryError, in_words
from km_client.registry.fetcher import RegistryFetcher, scope_of
from km_client.registry.offers import Offer, offer_from
from km_client.registry.place import Place
from km_client.registry.roots import CATALOG, DIRECTOR, MAX_BYTES, Pinned

Progress = Callable[[int], None]  # so many bytes more
BLOCKLIST = "blocklist.json"
RELEASE = "release"
_CATALOG_SCOPE = "catalog"
_LIMITS = UpdaterConfig(
    max_root_rotations=256,  # counted from the pinned one each time: a root a year
    max_delegations=8,
    root_max_length=MAX_BYTES,
    timestamp_max_length=16 * 1024,
    snapshot_max_length=512 * 1024,
    targets_max_length=4 * 1024 * 1024,
)


class Versioned(Protocol):
    """An offer, or a build."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def platform(self) -> str: ...

    @property
    def is_private(self) -> bool: ...


class _Repository:
    """One of the two. The files TUF keeps lie in a directory of their own."""

    def __init__(self, name: str, directory: Path, api: Api, path: str, token: str, root: bytes, scope: str) -> None:
        paths.make_private(directory)
        self._name, self._directory = name, directory
        self._base = f"{api.url}{path}"
        self.fetcher = RegistryFetcher(api, token, scope=scope, root_scope=scope_of(root))
        self._updater = Updater(
            str(directory), self._base, fetcher=self.fetcher, config=_LIMITS, bootstrap=root, target_dir=None
        )

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Whatever goes wrong is told as a `RegistryError`."""
        from tuf.api.exceptions import DownloadError, RepositoryError  # noqa: PLC0415 - only names

        try:
            yield
        except (DownloadError, RepositoryError, OSError, ValueError) as error:
            raise in_words(error, self._name) from error

    def refresh(self) -> None:
        with self.telling():
            self._updater.refresh()

    def targets(self) -> Targets:
        """The top-level targets, as the refresh just verified and kept them."""
        with self.telling():
            return Metadata[Targets].from_file(str(self._directory / "targets.json")).signed

    def role(self, name: str) -> Metadata[Targets] | None:
        """A delegated role as it was loaded last; `None` before that."""
        file = self._directory / f"{name}.json"
        with self.telling():
            return Metadata[Targets].from_file(str(file)) if file.exists() else None

    def find(self, path: str) -> TargetFile | None:
        with self.telling():
            return self._updater.get_targetinfo(path)

    def fetch(self, target: TargetFile, to: Path, progress: Progress) -> None:
        """Write the file to `to`, which stays when it turns out not to be what was signed."""
        directory, slash, name = target.path.rpartition("/")
        url = f"{self._base}targets/{directory}{slash}{target.hashes['sha256']}.{name}"
        self.fetcher.allow(target.length)
        with self.telling():
            _save(self.fetcher.fetch(url), to, target.length, progress)
            with to.open("rb") as written:
                target.verify_length_and_hashes(written)


def _save(pieces: Iterator[bytes], to: Path, length: int, progress: Progress) -> None:
    from tuf.api.exceptions import DownloadLengthMismatchError  # noqa: PLC0415 - only a name

    received = 0
    with to.open("xb") as file:
        for piece in pieces:
            received += len(piece)
            if received > length:
                raise DownloadLengthMismatchError(f"`{to.name}` is longer than the {length:,} bytes it should have")
            file.write(piece)
            progress(len(piece))


class Repositories:
    """Both, for one refresh. Only while the customer's lock is held."""

    def __init__(self, place: Place, catalog: _Repository, director: _Repository) -> None:
        self._place, self._catalog, self._director = place, catalog, director

    @classmethod
    def opened(cls, place: Place, pinned: Pinned, api: Api, token: str) -> Repositories:
        """Raises `RegistryError` when what is kept here cannot be used."""
        own = f"/api/tuf/director/{place.customer_id}/"
        try:
            catalog = _Repository(
                CATALOG, place.directory / CATALOG, api, "/api/tuf/catalog/", token, pinned.catalog, _CATALOG_SCOPE
            )
            director = _Repository(
                DIRECTOR, place.directory / DIRECTOR, api, own, token, pinned.director, place.customer_id
            )
        except RegistryError:
            raise
        except Exception as error:
            raise in_words(error, "own copy") from error
        return cls(place, catalog, director)

    def refresh(self) -> None:
        """The catalog first: what it takes back counts even when the director cannot be had."""
        self._catalog.refresh()
        self._director.refresh()

    @property
    def received(self) -> int:
        """Bytes of answers so far."""
        return self._catalog.fetcher.received + self._director.fetcher.received

    def offers(self, platforms: tuple[str, ...]) -> list[Offer]:
        """What the director lists for such a machine and the catalog has reviewed with the same payload."""
        found = []
        for target in self._director.targets().targets.values():
            offer = offer_from(target)
            if offer and offer.platform in platforms:
                found.append(offer.reviewed_as(self.entry(offer)))
        return found

    def entry(self, one: Versioned) -> Mapping[str, Any] | None:
        """What the reviewers say of a version; `None` when they do not know it."""
        path = f"{one.name}/{one.version}/{one.platform}"
        target = self._private(path) if one.is_private else self._catalog.find(path)
        if target is None:
            return None
        return target.custom if isinstance(target.custom, dict) else {}

    def _private(self, path: str) -> TargetFile | None:
        """From the customer's own `release`, under the signatures of those whom the *catalog* calls reviewers.

        The director could name others, and list anything itself: its own word does not count here.
        """
        listed, release = self._director.find(path), self._director.role(RELEASE)
        if listed is None or release is None or release.signed.is_expired():
            return None
        with self._director.telling():
            trust.check_review(self._catalog.targets(), release)
        return listed if release.signed.targets.get(path) == listed else None

    def blocklist(self, scratch: Path) -> Blocklist:
        """What must not run. A catalog without one blocks nothing."""
        target = self._catalog.find(BLOCKLIST)
        if target is None:
            return Blocklist()
        if target.length > Blocklist.MAX_BYTES:
            raise RegistryError("registry_invalid", f"the blocklist has {target.length:,} bytes", "tell the operator")
        file = scratch / BLOCKLIST
        self._catalog.fetch(target, file, lambda _: None)
        return Blocklist.read(file.read_bytes())

    def policy(self, blocked: frozenset[str]) -> TrustPolicy:
        """Whose signatures count on a package, as people signed it in the catalog."""
        return trust.policy(self._catalog.targets(), self._place.customer_id, blocked)

    def fetch(self, offer: Offer, to: Path, progress: Progress) -> None:
        """Raises `RegistryError`; `to` then holds what came."""
        self._director.fetch(offer.target, to, progress)
