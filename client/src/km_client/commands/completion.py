"""Print what makes your shell complete km-client's commands and options.

    eval "$(km-client completion bash)"                                       in ~/.bashrc
    source <(km-client completion zsh)                                        in ~/.zshrc, after compinit
    km-client completion fish | source                                        in ~/.config/fish/config.fish
    km-client completion powershell | Out-String | Invoke-Expression          in $PROFILE

When you press Tab, km-client itself is asked only for the ids of sessions. After an update, open a new shell.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from km_client.completing.grammar import grammar
from km_client.completing.shells import SHELLS


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=list(SHELLS), help="whose script to print")


def run(args: Namespace) -> int:
    sys.stdout.write(SHELLS[args.shell](grammar()))
    return 0
