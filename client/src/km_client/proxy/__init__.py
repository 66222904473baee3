"""The relay: start the server, copy bytes both ways, end as the server ended. Standard library only."""
