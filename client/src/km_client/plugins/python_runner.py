"""Started as a program of its own, inside the sandbox: runs a Python plugin's entry file as `__main__`.

    $ python -I -S -B python_runner.py /plugins/x/site:/…/site-packages /plugins/x/main.py

Promises: modules come from the plugin's directory, its `site` directory, and the given paths, never from the working
directory, the user's site directory or a `.pth` file. Standard library only.
"""

import runpy
import sys


def main() -> None:
    paths, entry = sys.argv[1:3]
    sys.path[:0] = [entry.rpartition("/")[0]]
    sys.path.extend(path for path in paths.split(":") if path)
    sys.argv = [entry]
    runpy.run_path(entry, run_name="__main__")


if __name__ == "__main__":
    main()
