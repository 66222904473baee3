"""What commands show a person or a script. Answers go to stdout, warnings to stderr; words never depend on colour.

Warnings, `pairs` and tables may hold strangers' words, a server's or a file's: what a terminal would act on is spelled
out there. Lines for `say` and `wrapped` go through `printable` where such words stand in them.
`rich` takes a tenth of a second to load, so only what draws a table or a coloured line loads it, when it does.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from km_client.errors import ClientError

_NOT_ASCII = re.compile(r"[^\t\n -~]")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
WIDE = 200  # columns, where nobody's terminal sets a limit

if TYPE_CHECKING:
    from rich.console import Console


def answered(run: Callable[[], int]) -> int:
    """Run what answers on stdout, and return its exit code. Raises `ClientError` where the answer found no room.

    A reader that has seen enough, as `head` has, ends it without a word; a stream that is closed leads nowhere; a
    character that the stream's encoding does not have is spelled out.
    """
    _open_streams()
    code = 0
    try:
        try:
            code = run()
        except SystemExit:  # `argparse`, after a help
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except BrokenPipeError:
        _discard()
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        _discard()
        why = f"the answer could not be written whole: {error.strerror}"
        raise ClientError("unwritable_answer", why, "make room there, and run it again") from None
    return code


def _open_streams() -> None:
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for as long as we live
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard() -> None:
    """What is still to be written goes nowhere: else Python would complain of it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str = "") -> None:
    """One line of an answer."""
    sys.stdout.write(f"{text}\n")


def say_json(value: Any) -> None:
    """The whole answer, for a script."""
    say(escaped(json.dumps(value, indent=2, default=str, ensure_ascii=False)))


def escaped(text: str) -> str:
    """JSON that means the same, with `\\u009b` for what a terminal would act on, or what stdout's encoding has not."""
    has_all = (sys.stdout.encoding or "").lower().startswith("utf")

    def seen(found: re.Match[str]) -> str:
        if found[0] == "\r":  # in JSON it stands between two tokens only
            return " "
        return found[0] if has_all and found[0].isprintable() else json.dumps(found[0])[1:-1]

    return _NOT_ASCII.sub(seen, text)


def printable(text: str) -> str:
    """`text` of a stranger with `\\x1b` for what a terminal would act on, or what turns its direction."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def warn(message: str, hint: str = "") -> None:
    """Something a person should know, which stops nothing."""
    sys.stderr.write(f"warning: {printable(message)}\n" + (f"  hint: {printable(hint)}\n" if hint else ""))


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values, aligned; a value that is too long goes on below itself."""
    kept = list(rows)
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        wrapped(printable(f"{name:{width}}  {value}".rstrip()), indent=width + 2)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns, as wide as the terminal allows; what does not fit goes on in the next line, for nothing is left out."""
    from rich.table import Table  # noqa: PLC0415 - see above

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*map(printable, row))
    shown = console()
    sys.stdout.flush()  # with nothing of ours to write rich cannot find out that the reader left: it would exit with 1
    with shown.capture() as text:
        shown.print(drawn)
    sys.stdout.write(text.get())


def wrapped(text: str, *, indent: int = 0) -> None:
    """One line, broken between words where a terminal ends; each further line begins `indent` columns in."""
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else len(text)
    # Not by `textwrap`, which would also take out the spaces that align one line with another.
    while len(text) > columns > 2 * indent:
        at = text.rfind(" ", indent + 1, columns + 1)
        if at < 0 or not text[:at].strip():
            break  # a word longer than the terminal is wide, such as a path: the terminal breaks it
        say(text[:at].rstrip())
        text = " " * indent + text[at:].lstrip()
    say(text)


def console() -> Console:
    """A console that prints text as it is: nothing in a message is markup."""
    from rich.console import Console  # noqa: PLC0415 - see above

    width = None if sys.stdout.isatty() else WIDE
    return Console(file=sys.stdout, markup=False, highlight=False, width=width)


def many(count: int, thing: str, of: str = "") -> str:
    """`1 event`, `1,200 events`, `1 of 100 events`."""
    return f"{count:,}{of} {thing}{'' if count == 1 and not of else 's'}"


def size(count: float) -> str:
    """Bytes as people say them: `1.4 MB`."""
    if count < 1000:
        return many(round(count), "byte")
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"
