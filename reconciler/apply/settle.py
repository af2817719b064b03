"""Tell by looking whether an effect happened whose reply never came. Never a blind second try."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

import msgspec

from reconciler.errors import ReadFailed
from reconciler.host.interface import Question, Reader
from reconciler.model import labels as label
from reconciler.model.effect import (
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Done,
    DropPath,
    Effect,
    Existing,
    JudgeCompose,
    MakeDirectory,
    PlaceTree,
    PullImage,
    PutFile,
    PutMarker,
    RemoveContainer,
    RemoveNetwork,
    RenameContainer,
    RestartContainer,
    StageTree,
    StartContainer,
    StopContainer,
    Target,
    UpCompose,
    UpdateContainer,
)
from reconciler.model.observed import RUNNING_STATES, SeenContainer, SeenNetwork, SeenPath

Repeatable = (
    MakeDirectory | PutFile | StageTree | PlaceTree | JudgeCompose | UpCompose | PutMarker | PullImage | CreateVolume
)
"""Doing these twice is doing them once, also when the first comes late: so a lost reply means doing them again."""

_ATTEMPT = label.PREFIX + "attempt"


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a look after a lost reply saw: the one container in question, or the host's networks and one path.

    `started_before` is when the container had last been started before the effect was first sent, None for never.
    """

    container: SeenContainer | None = None
    networks: tuple[SeenNetwork, ...] = ()
    path: SeenPath | None = None
    started_before: datetime | None = None


def settled(effect: Effect, sight: Sight) -> Done | None:
    """Judge whether `effect` holds by what was seen: Done, or None when it does not (yet).

    Targets are resolved (`Existing`). Times are compared for being another, never for being earlier: they are the
    host's.
    """
    seen = sight.container
    match effect:
        case CreateContainer():
            ours = seen is not None and seen.labels.get(_ATTEMPT) == effect.labels.get(_ATTEMPT, "")
            return Done(value=seen.full_id) if seen is not None and ours else None
        case CreateNetwork():
            return _network_made(effect, sight.networks)
        case RemoveNetwork():
            holds = all(network.id != effect.id for network in sight.networks)
        case DropPath():
            holds = sight.path is not None and sight.path.kind == "absent"
        case RemoveContainer():
            holds = seen is None
        case StopContainer():
            holds = seen is None or seen.live.state not in RUNNING_STATES
        case _ if seen is None:
            holds = False
        case StartContainer():
            # What runs once may be over by now: it did run when its start is another than before.
            ran = seen.live.started_at is not None and seen.live.started_at != sight.started_before
            holds = seen.live.state in {"running", "restarting"} or ran
        case RestartContainer():
            holds = seen.live.started_at is not None and seen.live.started_at != sight.started_before
        case UpdateContainer():
            holds = all(getattr(seen.spec, name) == getattr(effect, name) for name in _UPDATED)
        case RenameContainer():
            holds = seen.name == effect.to
        case ConnectNetwork():
            holds = set(effect.aliases) <= set(seen.spec.networks.get(effect.network, ())) and (
                effect.network in seen.spec.networks
            )
        case MakeDirectory() | PutFile() | StageTree() | PlaceTree() | PutMarker() | PullImage() | CreateVolume():
            holds = False
        case JudgeCompose() | UpCompose():
            holds = False
        case _:
            assert_never(effect)
    return Done() if holds else None


_UPDATED = ("restart", "cpu_nanos", "memory_bytes", "pids")


def _network_made(effect: CreateNetwork, networks: tuple[SeenNetwork, ...]) -> Done | None:
    for network in networks:
        if network.name == effect.name and effect.labels.items() <= network.labels.items():
            return Done(value=network.id)
    return None


async def look_again(
    effect: Effect, *, host: Reader, fleet: str, started_before: datetime | None, now: Callable[[], datetime]
) -> Sight:
    """Read what `settled` needs to judge a resolved `effect`. Raises `ConnectFailed` or `ReadFailed`."""
    if isinstance(effect, CreateNetwork | RemoveNetwork | DropPath):
        paths = (effect.path,) if isinstance(effect, DropPath) else ()
        view = await host.look(Question(fleet=fleet, paths=paths), now=now)
        path = view.paths.get(paths[0]) if paths else None
        if path is not None and path.kind == "unreadable":
            raise ReadFailed(f"host {host.name}: {path.path} cannot be looked at", code="E_HOST_FILES")
        return Sight(networks=view.networks, path=path)
    if isinstance(effect, CreateContainer):
        return Sight(container=await host.find(effect.name))
    target = target_of(effect)
    found = await host.find(target.full_id) if isinstance(target, Existing) else None
    return Sight(container=found, started_before=started_before)


def target_of(effect: Effect) -> Target | None:
    """Give the container that an effect aims at, or None when it aims at none that exists."""
    target: Target | None = getattr(effect, "target", None)
    return target
