"""What templates may call: numbers with units, moments, icons."""
