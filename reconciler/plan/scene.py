"""Hold one wanted sandbox beside what its host has of it, with what comparing the two needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from reconciler.model.desired import SandboxDesired
from reconciler.model.observed import HostView
from reconciler.model.plan import FieldChange
from reconciler.model.resource import Container
from reconciler.model.rule import Remedy
from reconciler.plan.compare import Said, where_said
from reconciler.plan.gpus import Grant
from reconciler.plan.holdings import Holding
from reconciler.plan.intent import same_intent
from reconciler.plan.placed import own_files
from reconciler.plan.runs import run_bindings


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one sandbox beside its host while it is assessed, with what is asked for once per resource.

    Attributes:
        bindings: those of the host and of secrets.
        bindings_now: the same with those of the run that stands there.
        changed: the specs certainly changed since the last whole action.
        said: what is known of what was said, for naming where a difference comes from.
        files: those that are wanted in the sandbox's own folder.
        containers: those that are wanted.
        grants: which GPUs those get that ask for some, by name, where they are made now.
    """

    want: SandboxDesired
    holding: Holding
    view: HostView
    bindings: Mapping[str, str]
    bindings_now: Mapping[str, str]
    changed: bool
    said: Said
    files: tuple[str, ...]
    containers: tuple[Container, ...]
    grants: Mapping[str, Grant]

    def bindings_in(self, run: str) -> Mapping[str, str]:
        """Give the bindings with those of a run."""
        return self.bindings_now if run == self.holding.run else {**self.bindings, **run_bindings(run)}

    def drift(self, path: str, *, old: str, new: str, remedy: Remedy) -> FieldChange:
        """Describe a change of what moves; what was created and never started is work of ours that was cut."""
        origin: Literal["intent", "drift"] = "intent" if old == "created" or self.changed else "drift"
        at = where_said(self.want.origins, path)
        return FieldChange(path=path, old=old, new=new, remedy=remedy, origin=origin, at=at)


def set_scene(
    want: SandboxDesired,
    holding: Holding,
    view: HostView,
    *,
    bindings: Mapping[str, str],
    applied: str | None,
    grants: Mapping[str, Grant],
) -> Scene:
    """Set the scene. `applied` counts beside the marker, which may be of an action that was cut."""
    marker = holding.marker
    known = [text for text in (marker.intent if marker is not None else None, applied) if text is not None]
    changed = not all(same_intent(text, want.intent) for text in known)
    return Scene(
        want=want,
        holding=holding,
        view=view,
        bindings=bindings,
        bindings_now={**bindings, **run_bindings(holding.run)},
        changed=changed,
        said=Said(want.origins, changed or not known),
        files=own_files(want, base_dir=view.identity.base_dir, bindings=bindings),
        containers=want.containers,
        grants=grants,
    )
