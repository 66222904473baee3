"""How often a plugin that crashes is started again: pure, with the time as an argument.

    >>> budget = RestartBudget()
    >>> [budget.after_crash(at=now) for now in (0, 10, 20, 40, 80)]
    [1.0, 3.0, 10.0, 30.0, None]

Five crashes without a minute of health between them, and the plugin is disabled until somebody starts it again.
"""

from __future__ import annotations

from dataclasses import dataclass

# From 1 to 30 s in even steps of a factor of three: long enough for a full disk or a busy machine to recover.
BACK_OFF_SECONDS = (1.0, 3.0, 10.0, 30.0)
HEALTHY_SECONDS = 60.0  # after this long without a crash, earlier ones are forgotten


@dataclass(slots=True)
class RestartBudget:
    """Times are seconds of one monotonic clock. One crash more than there are `delays`, and there is no next start."""

    delays: tuple[float, ...] = BACK_OFF_SECONDS
    crashes: int = 0
    ready_at: float | None = None

    def ready(self, *, at: float) -> None:
        """The plugin answers."""
        self.ready_at = at

    def after_crash(self, *, at: float) -> float | None:
        """How many seconds to wait before the next start; None: no more starts."""
        if self.ready_at is not None and at - self.ready_at >= HEALTHY_SECONDS:
            self.crashes = 0
        self.ready_at = None
        self.crashes += 1
        return self.delays[self.crashes - 1] if self.crashes <= len(self.delays) else None
