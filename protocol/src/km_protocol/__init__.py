"""Floor 0: what a Kilometers client and server must agree on.

No Django, no network, no clock, no randomness. Moments and random bytes come in as arguments.
"""

__version__ = "0.1.0"
