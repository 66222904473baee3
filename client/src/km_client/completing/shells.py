"""The script that each shell loads, from the grammar. Pure text: when somebody presses Tab, km-client runs only where
the id of a session may stand, as `km-client sessions ids`.

    SHELLS["bash"](grammar()) → "_km_client() { …"

After `--` it is another program's command line, and the shell completes that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from km_client.completing import bash, fish, powershell, zsh
from km_client.completing.grammar import Command

SHELLS: Mapping[str, Callable[[list[Command]], str]] = {
    "bash": bash.script,
    "zsh": zsh.script,
    "fish": fish.script,
    "powershell": powershell.script,
}
