"""When something that is done again and again is due, in seconds of the monotonic clock. No waiting in here.

    duty = Duty(random.uniform)                  due at once
    duty.done(300.0, now=monotonic())            again in 270 to 330 seconds
    duty.failed(now=monotonic())                 again soon, later with every failure in a row

The spread keeps the machines of an office, which were all switched on at nine, from asking the server in step.
"""

from __future__ import annotations

from collections.abc import Callable

from km_client.agent import back_off

SPREAD = 0.1  # of an interval, in either direction
SHORTEST_SECONDS = 1.0
PAUSE_SECONDS = 300.0  # until what only a person can change is tried again: more often looks like guessing


class Duty:
    """One thing to do. `uniform(low, high)` draws from that range."""

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self.due = 0.0
        self.failures = 0
        self.problem = ""  # why it failed the last time
        self._interval = PAUSE_SECONDS
        self._uniform = uniform
        self._is_hurried = False

    def begin(self) -> None:
        """It is being done; a `hurry` from now on asks for it to be done once more."""
        self._is_hurried = False

    def hurry(self) -> None:
        """Something changed: it is due at once."""
        self.due = 0.0
        self._is_hurried = True

    def done(self, interval_seconds: float, *, now: float) -> None:
        self.failures, self.problem, self._interval = 0, "", interval_seconds
        self._next(now + self._around(interval_seconds))

    def failed(self, problem: str, *, now: float, least: float | None = None) -> None:
        """It may work next time. `least` is what the server asked to wait."""
        self.failures += 1
        self.problem = problem
        self._next(now + back_off.delay(self.failures, self._uniform, least))

    def refused(self, problem: str, *, now: float) -> None:
        """It will not work until somebody changes something: that is seen as soon as at its usual times."""
        self.failures += 1
        self.problem = problem
        self._next(now + self._around(min(self._interval, PAUSE_SECONDS)))

    def _around(self, seconds: float) -> float:
        return max(SHORTEST_SECONDS, seconds + self._uniform(-SPREAD * seconds, SPREAD * seconds))

    def _next(self, due: float) -> None:
        self.due = 0.0 if self._is_hurried else due
