"""A source as it comes in: streamed to a file under a cap, named by its SHA-256, and read strictly.

    with received(request) as upload:
        upload.sha256, upload.size, upload.source.manifest.name

Nothing the sender claims is believed: a length that is announced too large is refused before a byte is read, and what
arrives is counted. What is not a source is refused here and leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from django.http import HttpRequest
from km_protocol.errors import ManifestError, PackageError
from km_protocol.kmpkg.source_archive import SOURCE_LIMITS, SourceArchive, open_source

from core.errors import PayloadTooLarge
from plugins_registry.errors import InvalidManifest, InvalidSource, UploadTruncated

MAX_UPLOAD_BYTES = SOURCE_LIMITS.archive
_CHUNK_BYTES = 256 * 1024
_IN_MEMORY_BYTES = 1024 * 1024  # most sources; larger ones go through a file that has no name
_SHOWN_PROBLEMS = 20
_SUBMIT_AGAIN = "send the plugin's directory with `km-client plugin submit DIR`"


@dataclass(frozen=True, slots=True)
class Upload:
    """A source that was read to its end without a fault. `file` is open for as long as its request lasts."""

    file: BinaryIO
    sha256: str
    size: int
    source: SourceArchive


@contextmanager
def received(request: HttpRequest) -> Iterator[Upload]:
    """Raises `PayloadTooLarge`, `UploadTruncated`, `InvalidSource`, `InvalidManifest`."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    if announced.isdigit() and int(announced) > MAX_UPLOAD_BYTES:
        raise _too_large()
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spooled:
        file = cast(BinaryIO, spooled)
        sha256, size = _copy(_body(request, announced), file)
        if announced.isdigit() and size < int(announced):
            raise UploadTruncated(f"{size:,} of {int(announced):,} bytes arrived", "send it again")
        yield Upload(file, sha256, size, opened(file))


def opened(file: BinaryIO) -> SourceArchive:
    """The source in `file`, every file of which was read once. Raises `InvalidSource`, `InvalidManifest`."""
    try:
        source = open_source(file)
        source.check_content()
    except ManifestError as error:
        more = len(error.problems) - _SHOWN_PROBLEMS
        lines = [str(problem) for problem in error.problems[:_SHOWN_PROBLEMS]] + ([f"{more} more"] if more > 0 else [])
        hint = error.hint or "`km-client plugin validate DIR` shows every problem, offline"
        raise InvalidManifest("the manifest is wrong: " + "; ".join(lines), hint) from None
    except PackageError as error:
        raise InvalidSource(f"[{error.code}] {error}", error.hint or _SUBMIT_AGAIN) from None
    return source


def _body(request: HttpRequest, announced: str) -> BinaryIO:
    """Chunked, the server ends the stream; Django would take a missing length for an empty body."""
    chunked = not announced and request.META.get("wsgi.input_terminated")
    return cast(BinaryIO, request.META["wsgi.input"] if chunked else request)


def _copy(body: BinaryIO, out: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while piece := body.read(_CHUNK_BYTES):
        size += len(piece)
        if size > MAX_UPLOAD_BYTES:
            raise _too_large()
        digest.update(piece)
        out.write(piece)
    return digest.hexdigest(), size


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(
        f"a source has at most {MAX_UPLOAD_BYTES >> 20} MiB", "leave out what the plugin is not built from"
    )
