"""Durations in buckets that grow by 4 %: percentiles within 2 %, from counts that merge by addition.

    counts = Histogram()
    counts.add(12.5)                      # milliseconds; bucket ⌈ln(12.5) / ln(1.04)⌉ = 65
    merged = counts + Histogram.decode(stored)
    merged.quantile(0.95)                 → 12.5 ± 2 %
    merged.encode()                       → b"A\\0\\1\\0\\0\\0": bucket (int16), count (uint32), little endian

Bucket b holds (1.04^(b-1), 1.04^b]; its middle in relative terms, 2·1.04^b / 2.04, is at most 2 % from anything in it
(the DDSketch mapping, arXiv:1908.10693 §2.1). Only buckets that hold something are stored, in order.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

GAMMA = 1.04
SHORTEST_MS = 0.001  # a microsecond: below it nothing was measured
LONGEST_MS = 30 * 24 * 3600 * 1000.0  # a month: a longer duration is a clock's mistake, and is counted as this
MAX_COUNT = 2**32 - 1  # of one bucket of one hour or day; beyond it stays there

_LOG_GAMMA = math.log(GAMMA)
_PAIR = struct.Struct("<hI")


class Histogram:
    """Counts by bucket."""

    __slots__ = ("counts",)

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})

    def add(self, duration_ms: float) -> None:
        """Count one duration."""
        bucket = bucket_of(duration_ms)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def merge(self, stored: bytes | memoryview) -> None:
        """Add what `encode` wrote."""
        counts = self.counts
        for bucket, count in _PAIR.iter_unpack(stored):
            counts[bucket] = counts.get(bucket, 0) + count

    def __add__(self, other: Histogram) -> Histogram:
        merged = Histogram(self.counts)
        merged += other
        return merged

    def __iadd__(self, other: Histogram) -> Histogram:
        counts = self.counts
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def total(self) -> int:
        """How many durations were counted."""
        return sum(self.counts.values())

    def quantile(self, share: float) -> float | None:
        """The duration in ms below which `share` (0 to 1) of all lie; `None` when there are none."""
        return self.quantiles(share)[0] if self.counts else None

    def quantiles(self, *shares: float) -> list[float]:
        """The durations in ms for ascending `shares`, as `quantile`; none when nothing was counted."""
        found: list[float] = []
        last, seen = self.total - 1, 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            while len(found) < len(shares) and seen > shares[len(found)] * last:
                found.append(2 * GAMMA**bucket / (1 + GAMMA))
        return found

    def encode(self) -> bytes:
        """The bytes to store."""
        pairs = [number for bucket in sorted(self.counts) for number in (bucket, min(self.counts[bucket], MAX_COUNT))]
        return struct.pack("<" + "hI" * (len(pairs) // 2), *pairs)

    @classmethod
    def decode(cls, stored: bytes | memoryview) -> Histogram:
        """What `encode` wrote."""
        return cls(dict(_PAIR.iter_unpack(stored)))


def bucket_of(duration_ms: float) -> int:
    """The bucket of a duration in milliseconds."""
    return math.ceil(math.log(min(max(duration_ms, SHORTEST_MS), LONGEST_MS)) / _LOG_GAMMA)
