"""How many secrets redaction finds, what it takes for one and is none, and how many bytes a second a core redacts.

    scripts/bench redaction [--calls 1900] [--docs]

Recall: the corpus of `tests/client/redaction_corpus`. False positives and speed: traffic recorded from real MCP servers
in the same run. `--docs` writes docs/client/redaction.md.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from km_client.agent.redaction import RedactionRules, Redactor
from km_client.redaction.table import PATTERNS

from benchmarks import _redaction_page as page
from benchmarks._machine import machine
from tests.client.redaction_corpus import positives, traffic

SEEDS = {"fitted": 1, "held out": 20_261_123}
ROUNDS = 3  # the best counts: what else the machine did makes the others slower


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1900, help="tool calls of the filesystem server (default 1900)")
    parser.add_argument("--docs", action="store_true", help="write the tables of docs/client/redaction.md")
    args = parser.parse_args()
    redactor = Redactor(RedactionRules())
    recorded = {which: traffic.record(args.calls, seed) for which, seed in SEEDS.items()}
    lines = [line for said in recorded["held out"].values() for line in said]
    result = {
        "recall": {which: recall(redactor, which) for which in positives.SEEDS},
        "false_positives": {which: false_positives(redactor, said) for which, said in recorded.items()},
        "speed": speed(redactor, lines),
        "machine": machine(),
    }
    if args.docs:
        page.write(result)
    print(json.dumps(result))


def recall(redactor: Redactor, which: str) -> dict[str, Any]:
    """Of the set of that name: found and made, in all and by provider as `[found, made]`."""
    providers: dict[str, list[int]] = {}
    for case in positives.cases(which):
        counts = providers.setdefault(case.provider, [0, 0])
        counts[0] += not positives.is_left(case, redactor.redact(case.message).content)
        counts[1] += 1
    found, made = (sum(counts[at] for counts in providers.values()) for at in (0, 1))
    return {"cases": made, "found": found, "percent": round(100 * found / made, 2), "providers": providers}


def false_positives(redactor: Redactor, recorded: dict[str, list[bytes]]) -> dict[str, Any]:
    """In traffic without secrets: messages of which anything was taken out."""
    servers = {}
    for server, lines in recorded.items():
        redacted = sum(bool(redactor.redact(line).counts) for line in lines)
        megabytes = sum(map(len, lines)) / 1e6
        servers[server] = {
            "messages": len(lines),
            "mb": round(megabytes, 1),
            "redacted": redacted,
            "redacted_per_mb": round(redacted / megabytes, 2),
        }
    messages, redacted = (sum(int(found[key]) for found in servers.values()) for key in ("messages", "redacted"))
    return {
        "messages": messages,
        "redacted": redacted,
        "percent": round(100 * redacted / messages, 3),
        "servers": servers,
    }


def speed(redactor: Redactor, lines: list[bytes]) -> dict[str, Any]:
    """MB (10⁶ bytes) a second of one core, by the processor's own time."""
    markers = sorted({marker for pattern in PATTERNS for marker in pattern.markers}, key=len, reverse=True)
    alternatives = re.compile(b"|".join(map(re.escape, markers)))
    secret = [case.message for case in positives.cases("fitted")]
    return {
        "redacted_mb_per_s": _rate(redactor.redact, lines),
        "all_secret_mb_per_s": _rate(redactor.redact, secret),
        "reference_re_mb_per_s": _rate(lambda line: [*alternatives.finditer(line.lower())], lines),
        "reference_lower_mb_per_s": _rate(bytes.lower, lines),
    }


def _rate(work: Callable[[bytes], object], lines: Iterable[bytes]) -> float:
    lines = list(lines)
    spent = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for line in lines:
            work(line)
        spent.append(time.process_time() - started)
    return round(sum(map(len, lines)) / 1e6 / min(spent))


if __name__ == "__main__":
    main()
