"""`python -m km_client.agent`: how the relay and `km-client agent start` start the agent."""

from __future__ import annotations

import sys

from km_client.agent import process
from km_client.errors import ClientError


def main() -> int:
    try:
        process.run(in_foreground=False)
    except (ClientError, OSError) as error:
        sys.stderr.write(f"the agent cannot run: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
