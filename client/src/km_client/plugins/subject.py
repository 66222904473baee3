"""The plugin that a command was asked about: one that the agent knows, by its key or name, or one on disk, by its path.

find("tool-stats", told, "strict")          what runs, or ran last
find("./tool-stats", told, "strict")        what lies there, and what this machine would enforce
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from km_protocol.errors import ManifestError
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg.manifest import Manifest, Permissions

from km_client import paths
from km_client.errors import ClientError
from km_client.output import printable
from km_client.plugins import discovery
from km_client.plugins.errors import RefusedError
from km_client.plugins.report import PluginReport
from km_client.plugins.sandbox.guarantees import Level, promised
from km_client.plugins.sandbox.kernel import Kernel

ON_DISK = "on_disk"  # the state of a plugin that no agent knows


class Subject(NamedTuple):
    """`manifest` is `None` when what lies at the reported path is no plugin any more."""

    plugin: PluginReport
    manifest: Manifest | None

    @property
    def is_known(self) -> bool:
        """Whether an agent has run it, or tried to."""
        return self.plugin.state != ON_DISK

    @property
    def is_readable(self) -> bool:
        """Whether its manifest can be read, or could when it was last started."""
        return bool(self.manifest or self.plugin.version)


def find(word: str, plugins: Sequence[PluginReport], level: Level, kernel: Kernel) -> Subject:
    """Raises `ClientError`: unknown, ambiguous, or why the plugin at that path cannot be started."""
    found = by_word(word, plugins)
    if found:
        return Subject(_completed(found, level, kernel), _manifest(Path(found.path)))
    if not is_path(word):
        raise unknown(word, plugins)
    try:
        spec = discovery.find(Path(word), private=(paths.config_dir(), paths.data_dir()))
    except RefusedError as error:
        raise ClientError(error.code, printable(str(error)), printable(error.hint)) from None
    plugin = msgspec.structs.replace(_on_disk(spec.path, spec.manifest), origin=spec.origin)
    return Subject(_completed(plugin, level, kernel), spec.manifest)


def find_declared(word: str, plugins: Sequence[PluginReport], level: Level, kernel: Kernel) -> Subject:
    """As `find`, but what lies there need not be built: a manifest is enough."""
    manifest = None if by_word(word, plugins) else _manifest(Path(word))
    if manifest is None:
        return find(word, plugins, level, kernel)
    return Subject(_on_disk(_absolute(word), manifest), manifest)


def is_path(word: str) -> bool:
    return os.sep in word or Path(word).exists()


def by_word(word: str, plugins: Sequence[PluginReport]) -> PluginReport | None:
    """The one called so, or the one that lies at that path."""
    if os.sep not in word and (found := by_name(word, plugins)):
        return found
    path = str(_absolute(word))
    return _only(word, [plugin for plugin in plugins if plugin.path == path])


def _absolute(word: str) -> Path:
    """As `monitor --plugin` takes it: without following links."""
    return Path(os.path.abspath(word))  # noqa: PTH100 - `resolve` would follow them


def by_name(word: str, plugins: Sequence[PluginReport]) -> PluginReport | None:
    """The one called so: a key goes before a name. Raises `ClientError` when several are."""
    return _only(word, [plugin for plugin in plugins if plugin.key == word] or [p for p in plugins if p.name == word])


def _only(word: str, found: Sequence[PluginReport]) -> PluginReport | None:
    if len(found) > 1:
        keys = ", ".join(f"`{printable(plugin.key)}`" for plugin in found)
        message = f"`{printable(word)}` may be any of {len(found)} plugins"
        raise ClientError("ambiguous_plugin", message, f"name one of {keys}")
    return found[0] if found else None


def unknown(word: str, plugins: Sequence[PluginReport]) -> ClientError:
    """There is no such plugin; the hint names those there are."""
    keys = ", ".join(f"`{printable(plugin.key)}`" for plugin in plugins)
    hint = f"known are {keys}" if keys else "none has run yet: `km-client monitor --plugin PATH -- SERVER` runs one"
    return ClientError("unknown_plugin", f"no plugin `{printable(word)}` is known on this machine", hint)


def _manifest(path: Path) -> Manifest | None:
    """What can be read of it, without a look at its program."""
    with contextlib.suppress(RefusedError, ManifestError, OSError, ValueError):  # then the rest is shown without it
        if path.suffix == ".kmpkg":
            return discovery.find(path).manifest
        directory = path if path.is_dir() else path.parent
        return manifests.parse((directory / manifests.FILE_NAME).read_bytes())
    return None


def _completed(plugin: PluginReport, level: Level, kernel: Kernel) -> PluginReport:
    """One that was never started has no sandbox: then what this machine would enforce."""
    if plugin.level or not plugin.version:
        return plugin
    rows = promised(Permissions(plugin.network, plugin.filesystem, plugin.system), kernel, level)
    return msgspec.structs.replace(
        plugin,
        level=level,
        enforced=[row for row in rows if row.enforced],
        not_enforced=[row for row in rows if not row.enforced],
    )


def _on_disk(path: Path, manifest: Manifest) -> PluginReport:
    permissions = manifest.permissions
    return PluginReport(
        key=manifest.name,
        name=manifest.name,
        state=ON_DISK,
        version=str(manifest.version),
        path=str(path),
        runtime=manifest.runtime,
        network=permissions.network,
        filesystem=permissions.filesystem,
        system=permissions.system,
    )
