"""Floor 2 of the client side: watch what an MCP client and server say to each other."""

__version__ = "1.0.0"
