"""A customer's laptop as python-tuf's own client sees it, over HTTP: what the director lists, and the packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from tests.plugins_registry.production.deployment import Production

_BASE = "http://registry.example"


class Fetcher(FetcherInterface):
    """Asks with one customer's key."""

    def __init__(self, production: Production, key: str) -> None:
        self._production, self._key = production, key

    def _fetch(self, url: str) -> Iterator[bytes]:
        answer = self._production.get(url.removeprefix(_BASE), self._key)
        if answer.status_code != 200:
            raise DownloadHTTPError(f"{url} answered {answer.status_code}", answer.status_code)
        return iter([answer.content])


def director(production: Production, customer: str, key: str, root: bytes, place: Path) -> Updater:
    """A client of the customer's director whose trust begins with `root`, refreshed."""
    (place / "targets").mkdir(parents=True)
    base = f"{_BASE}/api/tuf/director/{customer}/"
    client = Updater(
        str(place),
        base,
        str(place / "targets"),
        f"{base}targets/",
        Fetcher(production, key),
        UpdaterConfig(app_user_agent="referee"),
        bootstrap=root,
    )
    client.refresh()
    return client
