"""Say what one wanted sandbox needs, resource by resource."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from reconciler.model.plan import FieldChange, HeldReason, ResourceChange, Verb
from reconciler.model.resource import Container, Resource
from reconciler.plan.holdings import OwnedContainer


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Say what one resource needs.

    Attributes:
        owned: the container it concerns, where there is one.
        dropped: path of a file that goes because no spec names it any more.
    """

    change: ResourceChange
    resource: Resource | None = None
    owned: OwnedContainer | None = None
    dropped: str | None = None


class Trouble(msgspec.Struct, frozen=True):
    """Say why a sandbox cannot be brought to its desired state, and what a person can do about it."""

    reason: HeldReason
    message: str
    hint: str | None = None


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """Hold how one wanted sandbox compares with its host.

    Attributes:
        items: what is to be done, in the order of the sandbox's resources, leftovers last.
        marker: what its marker lacks; counts as a change only where nothing else does.
        trouble: what stands in the way, or None.
        vanished: resources that our marker says were there and that are gone.
    """

    items: tuple[Item, ...] = ()
    marker: tuple[FieldChange, ...] = ()
    trouble: Trouble | None = None
    vanished: tuple[str, ...] = ()

    @property
    def verb(self) -> Verb | None:
        """Give the strongest thing that any resource needs; None when nothing differs."""
        verbs = {item.change.verb for item in self.items}
        for verb in (Verb.REPLACE, Verb.RESTART, Verb.START):
            if verb in verbs:
                return verb
        return Verb.UPDATE if verbs or self.marker else None

    @property
    def changes(self) -> tuple[FieldChange, ...]:
        """Give every field change, in order."""
        return (*(change for item in self.items for change in item.change.changes), *self.marker)

    @property
    def made_anew(self) -> tuple[Container, ...]:
        """Give the containers that are created, or replaced by new ones."""
        return made_anew(self.items)

    @property
    def begins_run(self) -> bool:
        """Tell whether a container is made anew, which begins another run."""
        return bool(self.made_anew)

    @property
    def only_drift(self) -> bool:
        """Tell whether it is the host alone that moved."""
        return all(change.origin == "drift" for change in self.changes)


def made_anew(items: Iterable[Item]) -> tuple[Container, ...]:
    """Give the containers that are created, or replaced by new ones."""
    return tuple(
        item.resource
        for item in items
        if isinstance(item.resource, Container) and item.change.verb in (Verb.CREATE, Verb.REPLACE)
    )
