"""Published experiments."""
