"""A terminal's text as an SVG that follows the reader's theme: no script, no font of its own, nothing loaded.

    svg([Line("$ km-client status", "command"), Line("account   cus_…")], columns=100)

Lines longer than `columns` go on in the next row, as a terminal breaks them. `COLOURS` has the kinds of lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape

COLOURS = {  # light, dark: each 4.5:1 or better on its ground
    "plain": ("#24292f", "#d7dce2"),
    "command": ("#0a3069", "#8ab8ff"),
    "note": ("#57606a", "#9aa4af"),
    "added": ("#116329", "#6fdd8b"),
    "removed": ("#a40e26", "#ff9a8f"),
}
GROUND = ("#f6f7f9", "#0c0e11")
CHARACTER, ROW, MARGIN = 7.8, 18, 16  # pixels: a monospaced font of 13 px is 7.8 wide in every common system


class Line(NamedTuple):
    text: str
    kind: str = "plain"


def svg(lines: Iterable[Line], *, columns: int) -> str:
    rows = [Line(part, line.kind) for line in lines for part in folded(line.text, columns)]
    width, height = round(columns * CHARACTER) + 2 * MARGIN, len(rows) * ROW + 2 * MARGIN
    texts = "\n".join(
        f'<text class="{row.kind}" x="{MARGIN}" y="{MARGIN + number * ROW + 13}" xml:space="preserve">'
        f"{escape(row.text)}</text>"
        for number, row in enumerate(rows)
        if row.text
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>The first minute in a terminal; the same text is in docs/walkthrough.md</title>
<style>
text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }}
.command {{ font-weight: 600 }}
{_colours(0)}
@media (prefers-color-scheme: dark) {{
{_colours(1)}
}}
</style>
<rect class="ground" width="{width}" height="{height}" rx="8"/>
{texts}
</svg>
"""


def folded(text: str, columns: int) -> list[str]:
    """The rows that a line fills; at least one."""
    return [text[at : at + columns] for at in range(0, len(text), columns)] or [""]


def _colours(theme: int) -> str:
    rules = [f".ground {{ fill: {GROUND[theme]} }}"]
    return "\n".join(rules + [f".{kind} {{ fill: {pair[theme]} }}" for kind, pair in COLOURS.items()])
