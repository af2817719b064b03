"""Tell why a host cannot be used: each cause by its own name."""
