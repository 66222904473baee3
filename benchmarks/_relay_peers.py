"""The monitors of other people that `relay` is measured beside: which, pinned, and how each is told to record.

One that cannot be installed or does not relay is reported with its error and measured no further.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks._peer_environment import programs


@dataclass(frozen=True)
class Peer:
    """A package, and the command line with which it wraps a server and keeps a full record, from its own help."""

    package: str
    version: str
    program: str
    arguments: tuple[str, ...]  # `{directory}` is where it may write

    def command(self, directory: Path) -> list[str]:
        """The command to put before the server's. Raises `PeerError` if the peer cannot be installed."""
        arguments = [argument.format(directory=directory) for argument in self.arguments]
        return [str(programs(self.package, self.version) / self.program), *arguments]


PEERS = (
    Peer("mcp-snoop", "0.1.0", "mcp-snoop", ("--output", "{directory}/trace.log", "--")),
    Peer("greenlight-mcp", "0.7.0", "greenlight", ("run", "--log-dir", "{directory}", "--capture-payloads", "--")),
    Peer("mcphawk", "1.0.0", "mcphawk", ("wrap", "--")),  # it writes below HOME
    Peer("glassport", "0.8.0", "glassport", ("wrap", "--log-dir", "{directory}", "--")),
)
