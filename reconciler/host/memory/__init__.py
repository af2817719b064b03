"""Stand in for a host without a machine: the verbs of `host/interface.py` over plain values, with faults on demand."""
