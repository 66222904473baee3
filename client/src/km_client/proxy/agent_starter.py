"""Start the agent if none runs: a probe of its lock, and one detached process. Standard library only.

    ensure_agent_running()      True if it started one; it takes the lock itself and leaves if another was faster

The agent gets a session of its own, so no signal to the relay's group or terminal reaches it, and nothing of the
relay's descriptors; what it says goes to `agent.log`. `KM_AGENT=off` starts none.
"""

from __future__ import annotations

import os
import sys

from km_client import paths
from km_client.capture import lock

MODULE = "km_client.agent"


def ensure_agent_running() -> bool:
    """Whether an agent had to be started. Raises `OSError` if it could not be."""
    if os.environ.get("KM_AGENT", "").lower() in ("off", "0", "false", "no") or not sys.executable:
        return False
    if lock.is_held(paths.agent_lock()):
        return False
    directory = paths.agent_dir()
    paths.make_private(directory)
    log = os.open(directory / "agent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        _start_detached([sys.executable, "-m", MODULE], log)
    finally:
        os.close(log)
    return True


if sys.platform == "win32":
    import subprocess

    def _start_detached(command: list[str], log: int) -> None:
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, creationflags=flags)

else:

    def _start_detached(command: list[str], log: int) -> None:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ]
        os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
