"""Playing a recording again: as the server, as the client, or line by line to a monitored server."""
