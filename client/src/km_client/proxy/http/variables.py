"""`${NAME}` in `--url` and `--header`, filled in from the environment by km-client itself.

    fill("https://mcp.example.com/s/${NOTES_KEY}/mcp", "--url")  ->  ("https://mcp.example.com/s/9fKq…/mcp", ["9fKq…"])

The arguments of a process can be read by every user of a machine, its environment only by its owner: what is written so
reaches the server without being an argument. `${env:NAME}`, as some MCP clients write it, is the same.
"""

from __future__ import annotations

import os
import re

from km_client.errors import ClientError

_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}")


def fill(text: str, option: str) -> tuple[str, list[str]]:
    """`text` with every variable's value, and those values. Raises `ClientError`, which shows none."""
    values: list[str] = []

    def value_of(found: re.Match[str]) -> str:
        values.append(value(found[1], option))
        return values[-1]

    return _VARIABLE.sub(value_of, text), values


def value(name: str, option: str) -> str:
    """Of one variable. Raises `ClientError`."""
    found = os.environ.get(name)
    if found is None:
        hint = f"set {name} where the MCP client starts km-client, for example in the `env` of its configuration"
        raise ClientError("no_variable", f"{option}: the variable {name} is not set", hint, exit_code=2)
    return found
