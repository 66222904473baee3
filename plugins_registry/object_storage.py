"""The registry's files in S3, with the faults of a disk: what cannot be read or written is an `OSError`.

    KM_REGISTRY_S3_BUCKET=km-registry       see docs/settings.md

Whoever stores or reads a file answers 503 to an `OSError`, and the vendor's library raises others. A file is fetched
whole when it is opened, so that no reader meets a fault in the middle. What is not there is `FileNotFoundError`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3File, S3Storage


class ObjectStorage(S3Storage):  # type: ignore[misc]  # its package has no types
    """A bucket."""

    def _open(self, name: str, mode: str = "rb") -> S3File:
        with _as_os_error(name):
            opened = super()._open(name, mode)
            if "r" in mode:
                opened.file  # noqa: B018 - fetched by looking
            return opened

    def _save(self, name: str, content: Any) -> str:
        with _as_os_error(name):
            return str(super()._save(name, content))

    def exists(self, name: str) -> bool:
        with _as_os_error(name):
            return bool(super().exists(name))

    def size(self, name: str) -> int:
        with _as_os_error(name):
            return int(super().size(name))

    def delete(self, name: str) -> None:
        with _as_os_error(name):
            super().delete(name)


@contextmanager
def _as_os_error(name: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise OSError(errno.EIO, f"the object storage fails: {error}", name) from error
