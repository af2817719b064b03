"""Want sandboxes that may be on several hosts, and show those hosts."""

from __future__ import annotations

from typing import Any, Literal

from msgspec.structs import replace

from reconciler.model.desired import Choice, Desired, SandboxDesired
from reconciler.model.observed import Reachable
from reconciler.model.plan import Plan
from reconciler.model.snapshot import Gpu
from tests import builders as b

GIB = 1 << 30


def a_choice(
    sandbox: SandboxDesired, *hosts: str, strategy: Literal["spread", "pack"] = "spread", **over: Any
) -> Choice:
    """Leave it to planning which of these hosts a sandbox is on."""
    numbered = dict.fromkeys(hosts, 0)
    return Choice(**{"strategy": strategy, "selector": {"pool": "gpu"}, "forms": (sandbox,), "hosts": numbered, **over})


def a_pool(
    *sandboxes: SandboxDesired,
    hosts: tuple[str, ...] = ("h1", "h2"),
    pinned: tuple[SandboxDesired, ...] = (),
    strategy: Literal["spread", "pack"] = "spread",
    **over: Any,
) -> Desired:
    """Want sandboxes anywhere on these hosts, and others where they say; keywords override fields of `Desired`."""
    known = {name: b.a_host(name, labels={"pool": "gpu"}) for name in hosts}
    known |= {one.host: b.a_host(one.host) for one in pinned if one.host not in known}
    first = [replace(one, host=min(hosts)) for one in sandboxes]
    return b.a_desired(
        *first,
        *pinned,
        **{
            "hosts": known,
            "choices": {one.name: a_choice(one, *hosts, strategy=strategy) for one in sandboxes},
            **over,
        },
    )


def a_machine(
    name: str,
    *sandboxes: SandboxDesired,
    memory_bytes: int | None = 12 * GIB,
    gpus: tuple[Gpu, ...] | None = None,
    **over: Any,
) -> Reachable:
    """Hear from a host of its own, on which these sandboxes stand as wanted."""
    view = b.a_settled_view(*sandboxes, **over)
    identity = b.an_identity(host_id=b.full_id(name)[:32], boot_id=b.full_id(name))
    containers = tuple(replace(seen, full_id=b.full_id((name, seen.name))) for seen in view.containers)
    view = replace(view, identity=identity, containers=containers, host_clock_epoch_s=b.later(hours=1).timestamp())
    facts = (
        b.a_snapshot(host=name, memory_available_bytes=memory_bytes, gpus=gpus) if memory_bytes is not None else None
    )
    return b.a_reachable(view, snapshot=facts)


def placed_on(made: Plan) -> dict[str, str]:
    """Tell where a plan makes what."""
    return {action.sandbox: action.host for action in made.actions if action.verb == "create"}


__all__ = ["GIB", "a_choice", "a_machine", "a_pool", "placed_on"]
