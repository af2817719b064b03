"""Find the words for what becomes of an effect: refusals as an engine gives them, and lines of the trace."""

from __future__ import annotations

from reconciler.host.memory.faults import Refuse
from reconciler.model.effect import (
    CreateContainer,
    Done,
    Effect,
    Existing,
    NotDone,
    Outcome,
    PutMarker,
    RemoveContainer,
    StartContainer,
    StopContainer,
    Unknown,
)


def refusal(kind: str, effect: Effect) -> Refuse:
    """Refuse in the words that an engine would find for this kind of effect."""
    if kind == "host_disk_full":
        return Refuse(NotDone("E_HOST_DISK", "no space left on device", hint="free some", transient=True))
    if kind == "refused_404" and isinstance(effect, StartContainer | StopContainer | RemoveContainer):
        return Refuse(NotDone("E_DOCKER_REFUSED", "page not found", transient=True))
    if kind == "refused_409" and isinstance(effect, RemoveContainer):
        return Refuse(NotDone("E_DOCKER_REFUSED", "removal of container is already in progress", transient=True))
    if kind == "refused_409" and isinstance(effect, CreateContainer):
        return Refuse(NotDone("E_NAME_PHANTOM", f"the name {effect.name} is reserved", transient=True))
    return Refuse(NotDone("E_DOCKER_REFUSED", "the engine said 500", transient=True))


def aim(effect: Effect) -> str:
    """Say what an effect is about."""
    target = getattr(effect, "target", None)
    if isinstance(target, Existing):
        return f"{target.name} {target.full_id[:6]}"
    if isinstance(effect, PutMarker):
        return f"{effect.marker.sandbox} g{effect.marker.generation} {effect.marker.phase}"
    for field in ("name", "path", "reference"):
        value = getattr(effect, field, None)
        if value is not None:
            return str(value)
    return ""


def short(outcome: Outcome) -> str:
    """Say what became of one."""
    match outcome:
        case Done(changed=changed, value=value):
            return ("done" if changed else "held already") + (f" {value[:6]}" if value else "")
        case NotDone(code=code, message=message):
            return f"NOT DONE {code}: {message}"
        case Unknown(why=why):
            return f"UNKNOWN {why}"
