"""What a plugin package is: its manifest, and the rules its settings, versions and build flags follow."""
