"""Plugins from the registry, on this machine: found, fetched, verified, activated, watched.

`commands` is what a person calls; `watch` what the agent runs. TUF (`tuf.ngclient`) is loaded when a repository is
opened, never before.
"""
