"""Write a Kilometers plugin in Python.

    from km_plugin_sdk import Plugin, StreamEvent, serve

    class SlowTools(Plugin):
        def handle_stream_event(self, event: StreamEvent) -> None:
            if event.tool and (event.duration_ms or 0) > 1000:
                print(f"{event.tool} took {event.duration_ms:.0f} ms")

    if __name__ == "__main__":
        serve(SlowTools())

`serve` speaks HashiCorp go-plugin's protocol, so any go-plugin host can run it. What the plugin prints, on stdout or
stderr, ends up in its log. Before `initialize` is called the token was checked, the settings were validated and have
their defaults, and `config.features` holds only what the token grants.
"""

from typing import TYPE_CHECKING, Any

from km_plugin_sdk.batching import Batcher
from km_plugin_sdk.config import PluginConfig
from km_plugin_sdk.errors import ApiError, FeatureNotAvailableError, PluginError, TokenError, TryLaterError
from km_plugin_sdk.events import Party, StreamEvent
from km_plugin_sdk.plugin import Plugin
from km_plugin_sdk.serving import serve
from km_plugin_sdk.tokens import Claims, read_lease, validate_lease, validate_token
from km_plugin_sdk.version import __version__

if TYPE_CHECKING:
    from km_plugin_sdk.api_client import ApiClient, Sent

__all__ = [
    "ApiClient",
    "ApiError",
    "Batcher",
    "Claims",
    "FeatureNotAvailableError",
    "Party",
    "Plugin",
    "PluginConfig",
    "PluginError",
    "Sent",
    "StreamEvent",
    "TokenError",
    "TryLaterError",
    "__version__",
    "read_lease",
    "serve",
    "validate_lease",
    "validate_token",
]


def __getattr__(name: str) -> Any:
    """`ApiClient` and `Sent` on first use: their HTTP library takes a fifth of a plugin's start, and few need it."""
    if name not in {"ApiClient", "Sent"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from km_plugin_sdk import api_client  # noqa: PLC0415

    return getattr(api_client, name)
