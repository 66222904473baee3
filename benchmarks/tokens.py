"""How far `km_client.tokens.estimate` is from a real vocabulary (o200k, by `js-tiktoken`), by kind of text.

    scripts/bench tokens [--docs]

The texts are of traffic recorded from real MCP servers in the same run, another sample than the weights were fitted
to. The reference is installed once from npm into the user's cache, without its scripts. `--docs` keeps the figures in
docs/client/tokens-figures.json and writes the page docs/client/tokens.md from them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
from pathlib import Path
from typing import Any

from km_client import tokens

from benchmarks._figure_tables import table, where
from benchmarks._machine import machine
from tests.client.redaction_corpus import traffic
from tests.client.redaction_corpus.values import Maker

REFERENCE = "js-tiktoken@1.0.21"
PAGE = Path(__file__).resolve().parent.parent / "docs" / "client" / "tokens.md"
FIGURES = PAGE.with_name("tokens-figures.json")
CALLS, SEED = 400, 11
PIECE_CHARACTERS = 6_000  # the reference takes seconds for a megabyte
PIECES = 150  # of each server
_BLOCK = re.compile(r"(<!-- made by `scripts/bench tokens --docs` -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_COUNT = """
const { Tiktoken } = require('js-tiktoken/lite');
const vocabulary = new Tiktoken(require('js-tiktoken/ranks/o200k_base'));
const lines = require('fs').readFileSync(0, 'utf8').split('\\n').filter(Boolean);
for (const line of lines) console.log(vocabulary.encode(JSON.parse(line), [], []).length);
"""
OTHER_SCRIPTS = {
    "Japanese": "ファイルが見つかりません。もう一度お試しください。" * 20,
    "Russian": "Файл не найден, попробуйте ещё раз. " * 20,
    "German": "Die Datei wurde nicht gefunden; bitte überprüfen Sie den Pfad. " * 20,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", action="store_true", help="write the table of docs/client/tokens.md")
    args = parser.parse_args()
    recorded = traffic.record(CALLS, seed=SEED).items()
    found = [piece for server, lines in recorded for piece in pieces(server, lines)] + list(OTHER_SCRIPTS.items())
    counted = _reference([each for _, each in found])
    result: dict[str, Any] = {"reference": f"o200k, {REFERENCE}", "kinds": {}, "machine": machine()}
    for kind in dict.fromkeys(kind for kind, _ in found):
        pairs = [
            (tokens.estimate(each.encode()), real)
            for (of, each), real in zip(found, counted, strict=True)
            if of == kind and real
        ]
        result["kinds"][kind] = _error(pairs)
    if args.docs:
        FIGURES.write_text(json.dumps(result, indent=1) + "\n")
        PAGE.write_text(_BLOCK.sub(lambda found: found[1] + text(result) + found[3], PAGE.read_text()))
    print(json.dumps(result))


def pieces(server: str, lines: list[bytes]) -> list[tuple[str, str]]:
    """(kind, text): pieces of what its tools answered, and of what they were asked; the same of the same lines."""
    maker = Maker(SEED)
    found: list[tuple[str, str]] = []
    texts = [text for line in lines if (text := _seen(json.loads(line)))]
    for text in maker.sample(texts, min(PIECES, len(texts))):
        at = maker.randrange(max(1, len(text) - PIECE_CHARACTERS))
        is_base64 = re.fullmatch(r"[A-Za-z0-9+/=]{30,}", text) is not None
        found.append(("base64" if is_base64 else server, text[at : at + PIECE_CHARACTERS]))
    return found


def _seen(message: dict[str, Any]) -> str:
    """What a model sees of it."""
    result = message.get("result") or {}
    texts = [block["text"] for block in result.get("content", []) if block.get("type") == "text"]
    if texts:
        return str(texts[0])
    shown = result.get("tools") or (message.get("params") or {}).get("arguments")
    return json.dumps(shown) if shown else ""


def _reference(texts: list[str]) -> list[int]:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kilometers" / "tokens"
    if not (home / "node_modules" / "js-tiktoken").is_dir():
        home.mkdir(parents=True, exist_ok=True)
        flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "install", *flags, "--prefix", str(home), REFERENCE], check=True)
    told = "\n".join(json.dumps(text) for text in texts)
    done = subprocess.run(["node", "-e", _COUNT], input=told, cwd=home, capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def _error(pairs: list[tuple[int, int]]) -> dict[str, Any]:
    """In percent of the real count: of the sum, and of one text, the middle and the worst tenth."""
    off = sorted(abs(guess - real) / real for guess, real in pairs)
    guessed, total = (sum(numbers) for numbers in zip(*pairs, strict=True))
    return {
        "texts": len(pairs),
        "tokens": total,
        "estimated": guessed,
        "sum_off_percent": round(100 * (guessed - total) / total, 1),
        "median_off_percent": round(100 * statistics.median(off), 1),
        "p90_off_percent": round(100 * off[int(0.9 * (len(off) - 1))], 1),
    }


def text(figures: dict[str, Any]) -> str:
    """What stands between the page's two comments."""
    rows = [
        [kind, found["texts"], f"{found['tokens']:,}", *(f"{found[key]} %" for key in list(found)[3:])]
        for kind, found in figures["kinds"].items()
    ]
    head = ["texts of", "texts", "tokens", "the sum is off by", "one text, median", "one text, worst tenth"]
    return "\n" + table(head, rows) + where(figures) + "\n"


def written() -> str:
    """What stands there now."""
    found = _BLOCK.search(PAGE.read_text())
    return found[2] if found else ""


if __name__ == "__main__":
    main()
