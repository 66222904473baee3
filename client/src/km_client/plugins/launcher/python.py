"""A Python plugin is not executed: the launcher is a Python already, and runs the plugin's file when it is confined.

    {"entry": "/plugins/x/main.py", "site": "/plugins/x/site", "provided": ["/…/site-packages"], "preload": True}

What plugins are given (our SDK and what it needs) is imported before the sandbox is up, which saves a second start of
the interpreter and the sandbox's question about each of 300 files. Nothing of the plugin's is read before.

Promises: modules come from the plugin's directory, its `site` directory, and the provided paths, never from the working
directory, the user's site directory or a `.pth` file; stdout is moved aside before the plugin's first line, so that
nothing it prints is taken for the handshake.
"""

# ruff: noqa: PLC0415 - what is imported when is what this file is about

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING

from km_client.plugins.launcher.kernel import IS_LINUX

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    Orders = dict[str, Any]


def prepare(orders: Orders) -> None:
    """Before the sandbox: what the plugin is given, and nothing of its own."""
    sys.path.remove(sys.argv[2])  # where this file is imported from
    sys.path.extend(orders["provided"])
    if orders["preload"]:
        import km_plugin_sdk.service  # noqa: F401
    if IS_LINUX and len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208
        sys.exit("a thread was started before the sandbox, which would not hold it")


def run(orders: Orders, environment: dict[str, str]) -> None:
    """Within the sandbox. Returns, or raises, as the plugin's file does."""
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = True  # its own directories are read-only to it
    sys.path.insert(len(sys.path) - len(orders["provided"]), orders["site"])
    for name in [name for name in sys.modules if name.partition(".")[0] == "km_client"]:
        del sys.modules[name]
    import runpy

    from km_plugin_sdk.output import Output

    Output.aside()
    entry = orders["entry"]
    sys.path.insert(0, os.path.dirname(entry))  # noqa: PTH120 - `pathlib` is not imported for this
    sys.argv = [entry]
    sys.excepthook = functools.partial(_tell, entry)
    runpy.run_path(entry, run_name="__main__")


def _tell(entry: str, _kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """From the plugin's file on: the frames before it are in our own files, which a plugin may not open."""
    while trace and trace.tb_frame.f_code.co_filename != entry:
        trace = trace.tb_next
    sys.__excepthook__(type(error), error.with_traceback(trace), trace)
