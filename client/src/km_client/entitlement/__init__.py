"""What the person's account allows on this machine, with or without a network: leases, features, plugins' tokens.

Floor: the agent's API client (`agent.api`), `km_plugin_sdk.tokens` (what a signature is worth) and `km_protocol.claims`
(what a lease allows). Which plugin is started with it is the agent's to decide; plugins never see the API key.
Importing this room loads the SDK, so the agent does so with the first session that has a plugin.
"""

from km_plugin_sdk.admission import FREE_FEATURES

from km_client.entitlement.account import Account
from km_client.entitlement.entitled import NO_ACCOUNT, Entitled
from km_client.entitlement.lease_store import LeaseStore, place_of
from km_client.entitlement.plugin_tokens import PluginIdentity

__all__ = ["FREE_FEATURES", "NO_ACCOUNT", "Account", "Entitled", "LeaseStore", "PluginIdentity", "place_of"]
