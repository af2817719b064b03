"""Tell whether two digests stand for one intent. A digest made by other rules tells nothing, so it causes nothing."""

from __future__ import annotations

from reconciler.model.digest import same_version


def same_intent(one: str, other: str) -> bool:
    """Tell whether nothing says that these differ: an upgrade of this program alone is never a change."""
    if not one or not other:
        return one == other
    return one == other or not same_version(one, other)
