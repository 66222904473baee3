"""What a shell offers after `km-client`: read off the commands' own parsers, written for each shell."""
