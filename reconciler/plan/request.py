"""Say what is asked of one planning: everything that is not specs, hosts or records."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Narrow what a plan may act on. It hides actions; it never makes an object look undesired.

    Attributes:
        names: sandboxes to act on, or None for all.
        hosts: hosts to act on, or None for all.
        excluded: sandboxes to leave alone.
    """

    names: frozenset[str] | None = None
    hosts: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()

    def covers(self, *, sandbox: str, host: str) -> bool:
        """Tell whether this sandbox on this host may be acted on."""
        return (
            (self.names is None or sandbox in self.names)
            and (self.hosts is None or host in self.hosts)
            and sandbox not in self.excluded
        )


class PlanRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for one plan.

    Attributes:
        now: the controller's clock.
        pass_id: names the pass; runs and attempts derive from it, so planning needs no dice.
        tool: version of this program.
        revision: commit of the specs, `+dirty` when the work tree differs, or `none`.
        ancestors: which of the commits found on hosts are this one or its ancestors.
        secrets: `secret:NAME` to value, for comparing; never stored in the plan.
        selection: what may be acted on.
        destroying: sandboxes that a person asked to destroy by name: they count as undesired, and need no override.
        placed: where a plan that is looked at again has placed sandboxes whose host the specs leave open: they are not
            placed anew for a little more memory elsewhere.
        updates_images: take what tags name in their registries now, where that is another image.
        removals_allowed: exact number of removals that a person allowed, or None for the budget.
    """

    now: datetime
    pass_id: str
    tool: str
    revision: str = "none"
    ancestors: frozenset[str] = frozenset()
    secrets: dict[str, str] = {}
    selection: Selection = Selection()
    destroying: frozenset[str] = frozenset()
    placed: dict[str, str] = {}
    updates_images: bool = False
    removals_allowed: int | None = None
