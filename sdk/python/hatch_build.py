"""What `km-client plugin new` copies goes into the wheel, and into the sdist, so that a wheel can be made of that too.

in a checkout   ../templates, ../go     in an sdist   templates, go     in a wheel   km_plugin_sdk/templates, …/go
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CopiedByPluginNew(BuildHookInterface[Any]):
    """An editable install reads them from the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        own = Path(self.root)
        source = own if (own / "PKG-INFO").is_file() else own.parent  # which only an sdist has
        target = "km_plugin_sdk/" if self.target_name == "wheel" else ""
        for name in ("templates", "go"):
            build_data["force_include"][str(source / name)] = target + name
