"""Why a build did not come about. `message` and `hint` are written into the build's log, which its author reads."""

from __future__ import annotations

from core.errors import ApiError


class BuildError(ApiError):
    """A build was refused, or failed. `log` is what the toolchain said until then."""

    status, code = 422, "build_failed"

    def __init__(self, message: str, hint: str = "", *, log: str = "") -> None:
        super().__init__(message, hint)
        self.log = log


class NoSandbox(BuildError):
    """Nothing is built where the sandbox cannot be had."""

    status, code = 503, "build_sandbox_missing"


class LimitExceeded(BuildError):
    code = "build_limit_exceeded"


class SourceRefused(BuildError):
    code = "build_source_refused"


class NotReproducible(BuildError):
    code = "build_not_reproducible"


class DigestDiffers(BuildError):
    """Bytes are not those that were reviewed, built or recorded. Never retried: somebody has to look."""

    status, code = 409, "build_digest_differs"


class NotReviewed(BuildError):
    status, code = 409, "build_not_reviewed"


class IssuerMissing(BuildError):
    """No key has signed yet. Made by the signing queue, then built again."""

    status, code = 503, "issuer_missing"
