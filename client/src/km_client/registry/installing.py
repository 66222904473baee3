"""One offer, from the director's word to an active build: fetched, verified, unpacked, activated; or quarantined.

    build = install(place, found, offer, policy, now=now, progress=lambda bytes_more: None)

Nothing of a package is unpacked before all of it was verified, and nothing is activated before it is unpacked. What
fails is kept aside with the reason; what was active before stays.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from km_protocol.kmpkg.trust import TrustPolicy
from km_protocol.kmpkg.verify import VerifiedPackage, VerifyError, verify

from km_client import paths
from km_client.registry import activation, builds, quarantine
from km_client.registry.builds import Build
from km_client.registry.errors import RegistryError
from km_client.registry.offers import Offer
from km_client.registry.place import Place
from km_client.registry.quarantine import Quarantined

if TYPE_CHECKING:
    from km_client.registry.repositories import Progress, Repositories

_BAD = frozenset({"registry_tampered", "registry_endless", "registry_disagrees", "package_refused"})
_log = logging.getLogger(__name__)


class PackageRefusedError(RegistryError):
    """A package that did not pass `verify`; its exit code is verify's."""

    def __init__(self, error: VerifyError) -> None:
        super().__init__("package_refused", f"{error.message} (`{error.code}`)", error.hint, int(error.exit_code))


@contextmanager
def scratch(place: Place) -> Iterator[Path]:
    """A private directory that is gone afterwards."""
    paths.make_private(place.directory)
    for left in place.directory.glob(".fetching-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix=".fetching-", dir=place.directory))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def install(
    place: Place, found: Repositories, offer: Offer, policy: TrustPolicy, *, now: datetime, progress: Progress
) -> Build:
    """Raises `RegistryError`."""
    if offer.problem:
        raise RegistryError("registry_disagrees", f"{offer.name} {offer.version}: {offer.problem}", "tell the operator")
    with scratch(place) as directory:
        package = directory / offer.file_name
        try:
            found.fetch(offer, package, progress)
            verified = _verified(package, offer, policy, now)
        except RegistryError as error:
            if error.code in _BAD and package.exists():
                _set_aside(place, package, offer, error, now)
            raise
        plugin = activation.directory_of(place, offer.name)
        build = builds.unpack(package, verified, plugin, now=now, is_private=offer.is_private)
    activation.activate(plugin, build.directory_name)
    quarantine.clear(place, offer.name)
    return build


def _verified(package: Path, offer: Offer, policy: TrustPolicy, now: datetime) -> VerifiedPackage:
    """The package passed every check, and is what both repositories speak of."""
    try:
        verified = verify(package, policy, at=now)
    except VerifyError as error:
        raise PackageRefusedError(error) from None
    stated = verified.statement
    found = (stated.name, stated.version, stated.platform, verified.payload_digest)
    if found != (offer.name, offer.version, offer.platform, offer.payload_digest):
        said = f"{stated.name} {stated.version} for {stated.platform}"
        message = f"{offer.name} {offer.version}: the package says it is {said}, or has another payload"
        raise RegistryError("registry_disagrees", message, "tell the operator")
    return verified


def _set_aside(place: Place, package: Path, offer: Offer, error: RegistryError, now: datetime) -> None:
    reason = Quarantined(offer.name, offer.version, offer.sha256, error.code, error.message, now)
    try:
        _log.warning("kept aside in %s: %s", quarantine.put(place, package, reason), error.message)
    except OSError as second:
        _log.warning("%s; it could not be kept aside: %s", error.message, second)
