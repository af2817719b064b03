"""Remember the containers that an action made, so that its later steps can aim at them by their full ids."""

from __future__ import annotations

import msgspec

from reconciler.model.effect import (
    CreateContainer,
    Done,
    Effect,
    Existing,
    Made,
    NotDone,
    RemoveContainer,
    RenameContainer,
    StartContainer,
)

_UNBOUND = "a step aims at {name}, which no earlier step of its action made"


class MadeContainer(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one container of ours: how to aim at it, and how long it may take to stop."""

    target: Existing
    grace_s: int


class MadeContainers:
    """Hold what one action made, by the names that they have now, in the order of making."""

    def __init__(self, uid: str) -> None:
        self._uid = uid
        self._by_name: dict[str, MadeContainer] = {}
        self._started: set[str] = set()

    @property
    def all(self) -> tuple[MadeContainer, ...]:
        """Give them all, the first made first."""
        return tuple(self._by_name.values())

    def id_of(self, name: str) -> str | None:
        """Give the full id of the container with this name, or None when we did not make it."""
        found = self._by_name.get(name)
        return None if found is None else found.target.full_id

    def resolve(self, effect: Effect) -> Effect | NotDone:
        """Give `effect` with its target as a full id."""
        target = getattr(effect, "target", None)
        if not isinstance(target, Made):
            return effect
        found = self._by_name.get(target.name)
        if found is None:
            return NotDone("E_PLAN_DAMAGED", _UNBOUND.format(name=target.name), "plan again")
        resolved: Effect = msgspec.structs.replace(effect, target=found.target)
        return resolved

    def is_fresh(self, resolved: Effect) -> bool:
        """Tell whether a resolved effect aims at a container of ours that was never started."""
        target = getattr(resolved, "target", None)
        ours = {item.target.full_id for item in self.all}
        return isinstance(target, Existing) and target.full_id in ours - self._started

    def learn(self, resolved: Effect, done: Done) -> None:
        """Take in what a resolved effect has changed."""
        match resolved:
            case CreateContainer() if done.value is not None:
                target = Existing(full_id=done.value, name=resolved.name, uid=self._uid)
                self._by_name[resolved.name] = MadeContainer(target=target, grace_s=resolved.container.stop_grace_s)
            case StartContainer(target=Existing() as target):
                self._started.add(target.full_id)
            case RenameContainer(target=Existing() as target) if old := self._by_name.pop(target.name, None):
                moved = msgspec.structs.replace(old.target, name=resolved.to)
                self._by_name[resolved.to] = msgspec.structs.replace(old, target=moved)
            case RemoveContainer(target=Existing() as target):
                self._by_name.pop(target.name, None)
            case _:
                pass
