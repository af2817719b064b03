"""Change a host: prove the target again, do one effect, and say whether it is done, not done or unknown."""
