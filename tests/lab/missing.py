"""The lab's two errors."""


class LabError(Exception):
    """Tell that a part of the lab did not do what it was told, in one sentence."""


class LabMissing(LabError):
    """Tell what the machine lacks for the lab, and how to get it, in one line."""
