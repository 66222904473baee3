"""Where a benchmark ran: part of every result, because a figure without its machine says little."""

from __future__ import annotations

import os
import platform
from typing import Any

import psutil


def machine() -> dict[str, Any]:
    """What every benchmark tells of it; each may add what matters to itself."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "load_of_the_last_minute": round(os.getloadavg()[0], 1),  # above `cpus`, others were at work too
    }
