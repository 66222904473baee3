"""Floor 2: certifying plugins with one's own key. Installed by reviewers; it knows no server room and no client."""

__version__ = "0.1.0"
