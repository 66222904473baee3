"""Whether changed tools are held until they are approved: what `tools.on_change` in `config.toml` says.

Asked by every relay as it starts, so the file is parsed only if it speaks of the setting at all. One that is there and
cannot be read, or speaks of it and cannot be understood, is taken for `hold`: who asked to be protected is not to lose
that by a slip of the pen.
"""

from __future__ import annotations

from collections.abc import Callable

from km_client import paths
from km_client.errors import ClientError

SETTING = "tools.on_change"


def holds(say: Callable[[str], None]) -> bool:
    """Tells a person with `say` what is wrong with the file, if it matters."""
    try:
        path = paths.config_file()
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, ClientError):
        return False
    except OSError as error:
        say(f"{path} cannot be read: {error.strerror}; changed tools are held until its permissions are corrected")
        return True
    if b"on_change" not in content:
        return False
    import tomllib  # noqa: PLC0415 - seldom needed

    try:
        table = tomllib.loads(content.decode("utf-8-sig")).get("tools", {})
        word = table.get("on_change", "report") if isinstance(table, dict) else table
    except ValueError as error:
        say(f"{path} is not TOML: {error}; changed tools are held until that is corrected")
        return True
    if word not in ("report", "hold"):
        say(f"`{SETTING}` in {path} must be report or hold, not {word!r}; changed tools are held until it is")
    return bool(word != "report")
