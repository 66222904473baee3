"""One server's pins as a relay keeps to them: read again whenever their file changes, and known where it is gone.

    pins = HeldPins(identity, complain)
    pins.fresh().withheld("read")        a person may have approved something meanwhile
    pins.update(change)                  written down where that is possible; the first time it must be

`complain(error)` hears why pins that are known could not be written. Another program that keeps their lock holds us up
for no longer than `PATIENCE_SECONDS`, except where nothing is known yet that could be kept to.
"""

from __future__ import annotations

from collections.abc import Callable

from km_client.errors import ClientError
from km_client.pinning import pin_file
from km_client.pinning.pins import Identity, Pins

PATIENCE_SECONDS = 0.3  # for what others write meanwhile; the agent takes the list from the recording in any case
Stamp = tuple[int, int, int]


class HeldPins:
    """For one session. Each raises `ClientError` where there are no pins to judge by."""

    def __init__(self, identity: Identity, complain: Callable[[ClientError], None]) -> None:
        self._identity = identity
        self._complain = complain
        self._path = pin_file.path_of(identity)
        self._pins: Pins | None = None
        self._stamp: Stamp | None = None

    def fresh(self) -> Pins:
        """The pins as they are now."""
        stamp = self._stamp_now()
        if self._pins is None or stamp != self._stamp:
            self._pins, self._stamp = pin_file.load(self._path) or Pins(self._identity), stamp
        return self._pins

    def update(self, change: Callable[[Pins], object]) -> Pins:
        """The pins after `change`."""
        known = self.fresh() if self._path.exists() else None
        is_known = known is not None and bool(known.pinned)
        within = PATIENCE_SECONDS if is_known else pin_file.LOCK_SECONDS
        try:
            self._pins = pin_file.update(self._identity, change, within=within)
        except ClientError as error:
            if known is None or not is_known:
                raise
            self._complain(error)
            change(known)
            return known
        self._stamp = self._stamp_now()
        return self._pins

    def _stamp_now(self) -> Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
