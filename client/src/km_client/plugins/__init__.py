"""Plugins on this machine: found, started in a sandbox, fed, watched and stopped.

Floor: `km_plugin_sdk.wire` (the contract's generated code) and `km_protocol` (manifests). The relay never imports this
room; the agent does. `launcher` is started as a program of its own and imports nothing but the standard library.
"""
