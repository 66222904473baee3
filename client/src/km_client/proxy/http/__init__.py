"""The relay for MCP over HTTP: a local reverse proxy, and a bridge from stdio. Standard library only."""
