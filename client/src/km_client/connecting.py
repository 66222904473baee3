"""What `init` and `login` do once this machine has a key: keep it, install plugins, ship what waits, and say so.

kept = keep(url, key)
connected = connect(url, key, found, kept=kept, with_plugins=True, root=None)
tell(connected, in_json=False)
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from km_protocol.api_keys import ApiKey, display

from km_client import config_edit, credentials, output, paths
from km_client.account import Account
from km_client.agent.delivery import Destination
from km_client.capture.spool import list_sessions
from km_client.proxy.agent_starter import ensure_agent_running
from km_client.registry.errors import RegistryError
from km_client.registry.first_time import Provisioned, provision


class Connected(NamedTuple):
    """This machine, connected. `account` is `None` if the server was not asked, `kept` says where the key is."""

    url: str
    key: ApiKey
    account: Account | None
    kept: str
    waiting_sessions: int
    is_agent_started: bool
    plugins: Provisioned | None


def keep(url: str, key: ApiKey, *, in_keyring: bool = False) -> str:
    """Keep address and key, for every later session. Returns where. Raises `ClientError` where they cannot be kept."""
    config_edit.set_value("api_url", url)
    return credentials.save_in_keyring(key) if in_keyring else str(credentials.save(key))


def connect(
    url: str, key: ApiKey, found: Account | None, *, kept: str, with_plugins: bool, root: Path | None
) -> Connected:
    """Install plugins and ship what waits, with the key that is `kept`."""
    waiting = len(list_sessions(paths.journal_dir()))
    started = _start_agent() if waiting else False
    plugins = None if found is None or not with_plugins else _provision(url, key, found.customer_id, root)
    return Connected(url, key, found, kept, waiting, started, plugins)


def tell(connected: Connected, *, in_json: bool) -> None:
    """What was done, and the next step."""
    if in_json:
        output.say_json(_answer(connected))
        return
    output.say(f"The key starting `{display(connected.key)}` is kept in {connected.kept}.")
    output.say(output.printable(_who(connected.url, connected.account)))
    if connected.waiting_sessions:
        many = "s" if connected.waiting_sessions > 1 else ""
        output.say(f"{connected.waiting_sessions} recorded session{many} will be shipped now.")
    for line in connected.plugins.lines() if connected.plugins else ():
        output.wrapped(line, indent=2)
    output.say("\nNext, `km-client wrap` puts itself before the MCP servers of your MCP clients; or do it by hand:")
    output.say("  km-client monitor --server-name files -- npx -y @modelcontextprotocol/server-filesystem ~/notes")


def _provision(url: str, key: ApiKey, customer_id: str, root: Path | None) -> Provisioned | None:
    """What came of the plugins; a server without a registry has none, and a failure undoes nothing."""
    try:
        return provision(Destination(url.rstrip("/"), key), customer_id, root)
    except RegistryError as error:
        if error.code != "registry_absent" or root is not None:
            output.warn(f"no plugins were installed: {error.message}", error.hint)
        return None


def _start_agent() -> bool:
    try:
        return ensure_agent_running()
    except OSError as error:
        output.warn(f"the agent cannot be started: {error}", "run `km-client doctor`")
        return False


def _who(url: str, found: Account | None) -> str:
    if found is None:
        return f"{url} was not asked yet whose it is; `km-client doctor` will."
    quota = f", {found.quota.limit:,} events a day" if found.quota and found.quota.limit else ""
    return f"{url} knows it: customer {found.customer_id}, tier {found.tier} ({found.status}){quota}."


def _answer(connected: Connected) -> dict[str, object]:
    found = connected.account
    return {
        "api_url": connected.url,
        "key": display(connected.key),
        "checked": found is not None,
        "customer_id": found.customer_id if found else None,
        "tier": found.tier if found else None,
        "status": found.status if found else None,
        "waiting_sessions": connected.waiting_sessions,
        "agent_started": connected.is_agent_started,
        "registry": connected.plugins.told() if connected.plugins else None,
    }
