"""Measurements of Pocketfit on real networks and real images."""
