"""Tell whether a tag names another image in its registry now than the one that a container or a host has.

Only what a registry was asked about, in this pass, can have moved. A digest is the same image wherever it came from.
"""

from __future__ import annotations

from reconciler.model.observed import HostView, ImageFact


def moved_to(view: HostView, reference: str, *, image_id: str) -> str | None:
    """Give the digest that the tag names now, where the image with this id, or under this reference, lacks it."""
    named, image = view.tags.get(reference), view.images.get(image_id)
    if not isinstance(named, str) or not isinstance(image, ImageFact):
        return None
    return named if image.digests and named not in image.digests else None
