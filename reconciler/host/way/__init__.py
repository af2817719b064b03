"""Reach a host: keys, connections, channels, and what is wrong where it cannot be reached."""
