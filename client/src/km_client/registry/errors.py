"""What keeps a plugin of the registry from this machine, as one error; and TUF's own errors in those words.

    RegistryError("registry_rollback", "the registry's `timestamp` is older than one this machine has seen", "…")

`code` names the attack that looks like this; the hint says what to do if it is none.
"""

from __future__ import annotations

from km_client.errors import ClientError

_ATTACKED = "try again from another network; if it stays, tell who runs the server: nothing was changed here"
_LATER = "try again in a moment; what is installed goes on"
NOT_READY = "registry_not_ready"


class RegistryError(ClientError):
    """Nothing was installed, activated or believed. What was there before goes on."""


def in_words(error: Exception, repository: str) -> RegistryError:
    """The error for what TUF, or the way to the repository, found. `repository` is `catalog` or `director`."""
    from tuf.api import exceptions as tuf  # noqa: PLC0415 - see the package's promise

    from km_client.registry.fetcher import ScopeError  # noqa: PLC0415

    told = f"the registry's {repository}: {error}"
    if isinstance(error, RegistryError):
        return error
    if isinstance(error, tuf.DownloadHTTPError):
        return _status(error.status_code, repository)
    table: tuple[tuple[type[Exception], str, str, str], ...] = (
        (tuf.SlowRetrievalError, "registry_slow", f"the registry's {repository} sends too slowly", _LATER),
        (tuf.DownloadLengthMismatchError, "registry_endless", f"more than was promised came: {told}", _ATTACKED),
        (ScopeError, "registry_scope", f"not this machine's: {told}", _ATTACKED),
        (tuf.DownloadError, "registry_unreachable", told, _LATER),
        (tuf.ExpiredMetadataError, "registry_expired", f"out of date, or held back on the way: {told}", _ATTACKED),
        (tuf.EqualVersionNumberError, "registry_rollback", f"said before, and otherwise: {told}", _ATTACKED),
        (tuf.BadVersionNumberError, "registry_rollback", f"not what belongs together, or older: {told}", _ATTACKED),
        (tuf.UnsignedMetadataError, "registry_signature", f"not signed as it must be: {told}", _ATTACKED),
        (tuf.LengthOrHashMismatchError, "registry_tampered", f"not what was signed: {told}", _ATTACKED),
        (tuf.RepositoryError, "registry_invalid", told, _ATTACKED),
        (OSError, "registry_disk", f"cannot be kept: {told}", "see that the data directory can be written to"),
    )
    for kind, code, message, hint in table:
        if isinstance(error, kind):
            return RegistryError(code, message, hint)
    return RegistryError("registry_invalid", told, _ATTACKED)


def _status(status: int, repository: str) -> RegistryError:
    if status == 404:
        message = f"this server's {repository} does not have it"
        return RegistryError("registry_missing", message, "ask who runs the server whether its registry is published")
    if status in {401, 403}:
        message = f"the registry's {repository} refused this machine's key ({status})"
        return RegistryError("registry_refused", message, "run `km-client init` with a key that works")
    if status == 503:
        return RegistryError(NOT_READY, f"the registry's {repository} is not ready (503)", _LATER)
    if 300 <= status < 400:
        message = f"the registry's {repository} points elsewhere ({status}), which is not followed"
        return RegistryError("registry_redirect", message, "see that `km-client config get api_url` is the service")
    return RegistryError("registry_unreachable", f"the registry's {repository} answered {status}", _LATER)
