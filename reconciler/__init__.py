"""Reconciler: bring Docker hosts, reached over plain SSH, to the state that committed YAML describes."""

__version__ = "0.1.0"
