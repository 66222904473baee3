"""What `km-client plugin try` prints: how a plugin did, for a person or as one JSON object.

slow-tools: well
  events   20 handled, 0 failed
  held     31 MiB at most
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from km_client import output
from km_client.output import printable
from km_client.plugins.trial import Trial, try_plugin

NOT_WELL = 1
_MIB = 1024 * 1024


def run(directory: Path, *, as_json: bool) -> int:
    """The command's exit code: 0 when it did well."""
    with tempfile.TemporaryDirectory(prefix="km-try-") as scratch:
        trial = try_plugin(directory, scratch=Path(scratch))
    if as_json:
        output.say(json.dumps(asdict(trial)))
    else:
        _show(directory, trial)
    return 0 if trial.ok else NOT_WELL


def _show(directory: Path, trial: Trial) -> None:
    output.say(f"{directory}: {'well' if trial.ok else f'NOT well: {printable(trial.message)}'}")
    dropped = "".join(f", {count} dropped ({reason})" for reason, count in trial.dropped.items())
    output.say(f"  events   {trial.handled} handled, {trial.failed} failed{dropped}; {trial.seconds:.1f} s")
    output.say(f"  held     {trial.memory_bytes / _MIB:.0f} MiB at most")
    for attempt in trial.attempted:
        tried = printable(f"{attempt.call} {attempt.target}")
        output.say(f"  refused  {tried}, {attempt.count} times: {printable(attempt.refused)}")
    for line in () if trial.ok else trial.log:
        output.say(f"  log      {printable(line)}")
