"""Starting the agent when somebody signs in: the file each system wants, and the words that make it heed the file."""
