"""Speak with one Docker engine: the wire, its reads and writes, and what its replies and refusals mean."""
