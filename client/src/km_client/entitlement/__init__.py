"""What the person's account allows on this machine, with or without a network: leases, features, plugins' tokens.

`account.Account` is the way in, `lease_store.place_of` says where it keeps things, `entitled.NO_ACCOUNT` is what holds
without one. Floor: the agent's API client (`agent.api`), `km_plugin_sdk.tokens` (what a signature is worth) and
`km_protocol.claims` (what a lease allows). Which plugin is started with it is the agent's to decide; plugins never see
the API key. Most of this room loads the SDK, so the agent imports it with the first session that has a plugin.
"""
