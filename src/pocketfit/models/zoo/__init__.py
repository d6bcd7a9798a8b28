"""Compact families of our own, one a file."""
