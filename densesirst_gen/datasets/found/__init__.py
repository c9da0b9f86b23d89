"""What lies under a root, and what belongs together."""
