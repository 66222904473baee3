"""What a plugin's process prints: the handshake from stdout's first line, everything else into its log."""

from __future__ import annotations

import asyncio

from km_client.plugins.errors import RefusedError
from km_client.plugins.handshake import Handshake, HandshakeReader
from km_client.plugins.logs import PluginLog

_STDERR_TAIL = 4096  # its last words, for the error message


class PluginOutput:
    """Give `receive` to the process's pipes. `greeted` is done with the handshake, or with why it is none."""

    def __init__(self, reader: HandshakeReader, log: PluginLog) -> None:
        self._reader, self._log = reader, log
        self.greeted: asyncio.Future[Handshake] = asyncio.get_running_loop().create_future()
        self.stderr_tail = b""

    def receive(self, source: str, data: bytes) -> None:
        if source == "stdout" and not self.greeted.done():
            data = self._greet(data)
        elif source == "stderr":
            self.stderr_tail = (self.stderr_tail + data)[-_STDERR_TAIL:]
        if data:
            self._log.feed(source, data)

    def _greet(self, data: bytes) -> bytes:
        """What of `data` belongs into the log."""
        try:
            handshake = self._reader.feed(data)
        except RefusedError as error:
            self.greeted.set_exception(error)
            return data
        if handshake is None:
            return b""
        self.greeted.set_result(handshake)
        return self._reader.rest
