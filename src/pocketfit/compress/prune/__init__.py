"""Fewer weights, fewer channels.

Read in this order: coupling → trace → rules → dependencies → remove; importance → allocate → refit → channels.
"""
