"""Start a plugin's main file with stdout already moved aside, so that not even its imports can spoil the handshake.

    python -I -B -m km_plugin_sdk path/to/plugin/main.py

The plugin's own directory, and `site` in it where its packages were installed, come first on the import path.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from km_plugin_sdk.output import Output
from km_plugin_sdk.serving import require_host


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m km_plugin_sdk path/to/plugin/main.py")
    entry = Path(sys.argv[1]).resolve()
    require_host(entry.parent)
    Output.aside()
    sys.path[:0] = [str(entry.parent), str(entry.parent / "site")]
    sys.argv = [str(entry)]
    runpy.run_path(str(entry), run_name="__main__")


if __name__ == "__main__":
    main()
