"""What the relay leaves on disk and the agent reads: journals. Standard library only; knows nothing of JSON-RPC."""
