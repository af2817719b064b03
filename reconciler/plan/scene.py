"""Hold one wanted sandbox beside what its host has of it, with what comparing the two needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from reconciler.model.desired import SandboxDesired
from reconciler.model.observed import HostView
from reconciler.model.plan import FieldChange
from reconciler.model.rule import Remedy
from reconciler.plan.compare import Said, where_said
from reconciler.plan.holdings import Holding
from reconciler.plan.intent import same_intent
from reconciler.plan.placed import own_files


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one sandbox beside its host while it is assessed. `bindings` are those of the host and of secrets."""

    want: SandboxDesired
    holding: Holding
    view: HostView
    bindings: Mapping[str, str]
    applied: str | None

    @property
    def known(self) -> list[str]:
        """Give the intents that were applied: the last whole one too, for a marker may be of an action that was cut."""
        marker = self.holding.marker
        return [text for text in (marker.intent if marker is not None else None, self.applied) if text is not None]

    @property
    def changed(self) -> bool:
        """Tell whether the specs certainly changed since the last whole action."""
        return not all(same_intent(text, self.want.intent) for text in self.known)

    @property
    def files(self) -> tuple[str, ...]:
        """Name the files that are wanted in the sandbox's own folder."""
        return own_files(self.want, base_dir=self.view.identity.base_dir, bindings=self.bindings)

    @property
    def said(self) -> Said:
        """Give what is known of what was said, for naming where a difference comes from."""
        return Said(self.want.origins, self.changed or not self.known)

    def drift(self, path: str, *, old: str, new: str, remedy: Remedy) -> FieldChange:
        """Describe a change of what moves; what was created and never started is work of ours that was cut."""
        origin: Literal["intent", "drift"] = "intent" if old == "created" or self.changed else "drift"
        at = where_said(self.want.origins, path)
        return FieldChange(path=path, old=old, new=new, remedy=remedy, origin=origin, at=at)
