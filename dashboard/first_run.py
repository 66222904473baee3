"""What a new customer is asked to do, with the words to paste.

steps(customer, at=moment)   → {"key_prefix": "km_live_0Qm3", "install_snippet": …, "config_snippet": …}
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from customers import api_keys
from customers.models import Customer

# In a checkout: on a public index the name might be somebody else's.
INSTALL = "pip install ./protocol ./sdk/python ./client"
CONFIG_SNIPPET = """\
{
  "mcpServers": {
    "git": {
      "command": "km-client",
      "args": ["monitor", "--", "mcp-server-git", "--repository", "."]
    }
  }
}"""


def steps(customer: Customer, *, at: datetime) -> dict[str, str]:
    """The parts of the steps that differ between customers and servers."""
    key = api_keys.live(customer, at=at).first()
    return {
        "key_prefix": key.prefix if key else "",
        "install_snippet": f"{INSTALL}\nkm-client init --api-url {settings.PUBLIC_URL}",
        "config_snippet": CONFIG_SNIPPET,
    }
