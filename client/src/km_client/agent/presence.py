"""Whether an agent runs, and which process it is: what every command asks, without loading what the agent needs."""

from __future__ import annotations

from km_client import paths
from km_client.capture import lock
from km_client.errors import ClientError


def running_pid() -> int | None:
    """The process that is the agent now, or `None`. Raises `ClientError` if nothing can be said."""
    path = paths.agent_lock()
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip() if lock.is_held(path) else ""
    except OSError as error:
        raise ClientError(
            "data_unusable", f"{path} cannot be read: {error.strerror}", "see that KM_DATA_DIR is a directory of yours"
        ) from None
    return int(text) if text.isdigit() else None
