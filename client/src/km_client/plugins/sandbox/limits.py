"""How much of the machine a plugin may take: the resource limits of getrlimit(2).

A limit is inherited, cannot be raised again, and holds for each process. CPU time is not limited: a plugin that runs
for weeks is a good plugin.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass

MIB = 1024 * 1024
# The guide's plugin holds 20 MiB. Go maps heap in 64 MiB steps and needs 128; sixteen 8 MiB stacks are another 128.
DEFAULT_MEMORY_BYTES = 512 * MIB
LEAST_MEMORY_BYTES = 128 * MIB
# Go reserves about 1.2 GiB of addresses it never uses; more than this is a runaway.
ADDRESS_SPACE_BYTES = 8 * 1024 * MIB
OPEN_FILES = 256  # a plugin has a handful; Go raises its soft limit to the hard one by itself
STATE_FILE_BYTES = 64 * MIB  # one file in the state directory; where there is none, no byte can be written to a file


@dataclass(frozen=True, slots=True)
class Limit:
    resource: int
    value: int


def limits(*, filesystem: bool, has_state: bool, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> list[Limit]:
    """The limits of one plugin. `filesystem`: the size of files is the user's own business."""
    rows = [
        Limit(resource.RLIMIT_CORE, 0),  # a core file would hold the customer's messages
        Limit(resource.RLIMIT_DATA, max(memory_bytes, LEAST_MEMORY_BYTES)),
        Limit(resource.RLIMIT_AS, ADDRESS_SPACE_BYTES),
        Limit(resource.RLIMIT_NOFILE, OPEN_FILES),
    ]
    if not filesystem:
        rows.append(Limit(resource.RLIMIT_FSIZE, STATE_FILE_BYTES if has_state else 0))
    return rows
