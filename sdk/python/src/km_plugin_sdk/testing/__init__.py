"""Try a plugin without a host: in this process, or as the process it will be.

    from km_plugin_sdk.testing import Harness, golden_events

    def test_it_counts_failed_tools():
        with Harness(MyPlugin()) as harness:
            harness.initialize(custom_settings={"log_level": "debug"})
            assert harness.feed(golden_events()) == []
            assert harness.plugin.failed_tools == 2

`Harness` is fast and lets a test look inside. `PluginProcess` starts the plugin as a host does (cookie, handshake line,
unix socket, optionally AutoMTLS) and talks to it over that socket. `golden_events` is one recorded session with
everything in it that has broken a monitor before. `TokenIssuer` signs tokens and leases as the server does; with
`offline=True` both harnesses configure a plugin by lease, as while there is no network. `EventsApi` is a server for
`POST /api/events` on a loopback port.
"""

from km_plugin_sdk.testing.events_api import EventsApi
from km_plugin_sdk.testing.golden import golden_events
from km_plugin_sdk.testing.harness import Harness
from km_plugin_sdk.testing.issuer import TokenIssuer
from km_plugin_sdk.testing.process import PluginProcess

__all__ = ["EventsApi", "Harness", "PluginProcess", "TokenIssuer", "golden_events"]
