"""Measure a host: its raw counters from one script, decoded into a snapshot."""
