"""The tables of `docs/client/redaction.md`, from one run of `redaction`."""

from __future__ import annotations

import json
import re
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks._figure_tables import table, where

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "client" / "redaction-figures.json"
PAGE = ROOT / "docs" / "client" / "redaction.md"
_BLOCK = re.compile(r"(<!-- made by `scripts/bench redaction --docs` -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def text(figures: dict[str, Any]) -> str:
    """What stands between the page's two comments."""
    parts = [_summary(figures), _false_positives(figures), _recall(figures["recall"]), where(figures)]
    return "\n" + "\n".join(parts) + "\n"


def write(figures: dict[str, Any]) -> None:
    """Keep the figures, and put the tables made of them into the page."""
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    page = PAGE.read_text()
    PAGE.write_text(_BLOCK.sub(lambda found: found[1] + text(figures) + found[3], page))


def written() -> str:
    """What stands there now."""
    found = _BLOCK.search(PAGE.read_text())
    return found[2] if found else ""


def _summary(figures: dict[str, Any]) -> str:
    recall, speed, quiet = figures["recall"], figures["speed"], figures["false_positives"]["held out"]
    rows: list[list[object]] = [
        [
            f"recall, {which}",
            f"{recall[which]['found']:,} of {recall[which]['cases']:,}: {recall[which]['percent']} %",
            "≥ 99 %",
        ]
        for which in ("fitted", "held out")
    ]
    rows += [
        [
            "false positives, held out",
            f"{quiet['redacted']} of {quiet['messages']:,} messages: {quiet['percent']} %",
            "≤ 0.1 %",
        ],
        ["speed on that traffic, one core", f"{speed['redacted_mb_per_s']} MB/s", "≥ 50 MB/s"],
        ["… as secrets stand in every message", f"{speed['all_secret_mb_per_s']} MB/s", ""],
        ["reference: the same markers by `re`, search only", f"{speed['reference_re_mb_per_s']} MB/s", ""],
        ["reference: `bytes.lower` alone", f"{speed['reference_lower_mb_per_s']:,} MB/s", ""],
    ]
    return table(["", "figure", "to reach"], rows)


def _false_positives(figures: dict[str, Any]) -> str:
    rows: list[list[object]] = []
    for server, found in figures["false_positives"]["held out"]["servers"].items():
        rows.append([server, f"{found['messages']:,}", found["mb"], found["redacted"], found["redacted_per_mb"]])
    return table(["ordinary traffic of", "messages", "MB", "redacted", "a MB"], rows)


def _recall(recall: dict[str, Any]) -> str:
    cells = [
        [name, *("/".join(map(str, recall[which]["providers"].get(name, ["–"]))) for which in ("fitted", "held out"))]
        for name in sorted({*recall["fitted"]["providers"], *recall["held out"]["providers"]}, key=str.lower)
    ]
    third = -(-len(cells) // 3)
    columns = [cells[:third], cells[third : 2 * third], cells[2 * third :]]
    rows = [[cell for part in row for cell in part] for row in zip_longest(*columns, fillvalue=["", "", ""])]
    return table(["found/of", "fitted", "held out"] * 3, rows)
