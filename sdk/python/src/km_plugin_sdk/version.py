"""The SDK's version, as `GetInfo` reports it."""

__version__ = "0.1.0"
