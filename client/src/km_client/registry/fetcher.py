"""What TUF downloads, by way of the client's own connection: bounded in bytes and in time, and of one scope only.

    fetcher = RegistryFetcher(api, token, scope="cus_7Qm2", root_scope=None)
    fetcher.download_bytes("https://…/api/tuf/director/cus_7Qm2/timestamp.json", 16384)

Plain TUF would accept another customer's whole repository, because it is signed by the same keys. So every file of
metadata says, within what is signed, whose it is (`x-km-scope`), and what says anything else is refused here, before
anything of it is read, compared or stored. Roots are the same for all customers and have the scope that the pinned one
has, if any.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

from km_client.agent.api import Api, UnreachableError

SCOPE = "x-km-scope"
METADATA_SECONDS = 60.0  # for all metadata of one refresh: a few kilobytes
READ_SECONDS = 10.0  # nothing at all for so long, and the connection is given up
SLOWEST_BYTES_PER_SECOND = 16 * 1024  # a package slower than this on average is given up


class ScopeError(DownloadError):
    """Metadata of somebody else's repository."""


class RegistryFetcher(FetcherInterface):
    """For one refresh and what is installed after it. `received` and `requests` are counted for the figures."""

    def __init__(self, api: Api, token: str, *, scope: str, root_scope: str | None) -> None:
        self._api, self._token = api, token
        self._scope, self._root_scope = scope, root_scope
        self.received = self.requests = 0
        self._deadline = time.monotonic() + METADATA_SECONDS

    def allow(self, length: int) -> None:
        """Time for a package of so many bytes, from now on."""
        self._deadline = time.monotonic() + METADATA_SECONDS + length / SLOWEST_BYTES_PER_SECOND

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Metadata: read whole, then compared with the scope."""
        data: bytes = super().download_bytes(url, max_length)
        self._check_scope(url.rpartition("/")[2], data)
        return data

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.requests += 1
        self._check_time(url)
        try:
            with self._api.download(url.removeprefix(self._api.url), self._token, read_seconds=READ_SECONDS) as (
                status,
                piece,
            ):
                if status != 200:
                    raise DownloadHTTPError(f"{url} answered {status}", status)
                while data := piece():
                    self.received += len(data)
                    self._check_time(url)
                    yield data
        except UnreachableError as error:
            if "no answer in time" in str(error):
                raise SlowRetrievalError(str(error)) from error
            raise DownloadError(str(error)) from error

    def _check_time(self, url: str) -> None:
        if time.monotonic() > self._deadline:
            raise SlowRetrievalError(f"{url} did not come in time")

    def _check_scope(self, name: str, data: bytes) -> None:
        is_root = name.endswith(".root.json") or name == "root.json"
        wanted = self._root_scope if is_root else self._scope
        if (is_root and wanted is None) or (found := scope_of(data)) == wanted:
            return
        raise ScopeError(f"`{name}` is for `{found}`, and this machine is `{wanted}`")


class _Signed(msgspec.Struct):
    scope: str | None = msgspec.field(name=SCOPE, default=None)


class _Envelope(msgspec.Struct):
    signed: _Signed


def scope_of(data: bytes) -> str | None:
    """The scope that this metadata says it has; none for what is no metadata."""
    try:
        return msgspec.json.decode(data, type=_Envelope).signed.scope
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
