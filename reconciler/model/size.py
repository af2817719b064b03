"""Say sizes in the units of the specs."""

from __future__ import annotations

UNITS = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def exact_size(size_bytes: int) -> str:
    """Write a size in the largest unit that divides it without a rest, else in bytes: `4GiB`, `1000B`."""
    for unit, factor in UNITS:
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}B"


def round_size(size_bytes: float, *, signed: bool = False) -> str:
    """Say a size with one decimal in the largest unit that fits: `1.5 GiB`; `signed` writes a plus as well."""
    sign = ("-" if size_bytes < 0 else "+") if signed or size_bytes < 0 else ""
    amount = abs(size_bytes)
    for unit, factor in UNITS:
        if amount >= factor:
            return f"{sign}{amount / factor:.1f} {unit}"
    return f"{sign}{amount:.0f} B"
