"""What commands show a person or a script. Answers go to stdout, warnings to stderr; words never depend on colour.

`rich` takes a tenth of a second to load, so only what draws a table or a coloured line loads it, when it does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

WIDE = 200  # columns, where nobody's terminal sets a limit

if TYPE_CHECKING:
    from rich.console import Console


def say(text: str = "") -> None:
    """One line of an answer."""
    sys.stdout.write(f"{text}\n")


def say_json(value: Any) -> None:
    """The whole answer, for a script."""
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")


def warn(message: str, hint: str = "") -> None:
    """Something a person should know, which stops nothing."""
    sys.stderr.write(f"warning: {message}\n" + (f"  hint: {hint}\n" if hint else ""))


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values, aligned."""
    kept = list(rows)
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        say(f"{name:{width}}  {value}".rstrip())


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns, as wide as the terminal allows; what does not fit goes on in the next line, for nothing is left out."""
    from rich.table import Table  # noqa: PLC0415 - see above

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    console().print(drawn)


def console() -> Console:
    """A console that prints text as it is: nothing in a message is markup."""
    from rich.console import Console  # noqa: PLC0415 - see above

    width = None if sys.stdout.isatty() else WIDE
    return Console(file=sys.stdout, markup=False, highlight=False, width=width)


def size(count: float) -> str:
    """Bytes as people say them: `1.4 MB`."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"
