"""Tell an in-memory host, as data, what is to go wrong and when. Nothing here is known to the real host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from reconciler.errors import HostError
from reconciler.host.memory.world import World
from reconciler.model.effect import Effect, NotDone

Verb = Literal["identify", "look", "facts", "weigh", "find", "probe", "logs", "hold"]


class LostRequest(msgspec.Struct, frozen=True, tag="lost_request"):
    """End as `Unknown`; nothing happened."""


class LostReply(msgspec.Struct, frozen=True, tag="lost_reply"):
    """End as `Unknown`; it happened."""


class Late(msgspec.Struct, frozen=True, tag="late"):
    """End as `Unknown` now; it happens right before the `effects`-th later effect that anybody does on this host."""

    effects: int = 1


class Refuse(msgspec.Struct, frozen=True, tag="refuse"):
    """End with this; nothing happened."""

    outcome: NotDone


class Slow(msgspec.Struct, frozen=True, tag="slow"):
    """Take this long, then do it as asked."""

    seconds: float


Trouble = LostRequest | LostReply | Late | Refuse | Slow


class EffectFault(msgspec.Struct, frozen=True, kw_only=True):
    """Trouble the `nth` effect from now on, and the `times - 1` after it.

    Attributes:
        kind: an effect's tag, e.g. `create_container`, to count only those; None counts all.
    """

    trouble: Trouble
    kind: str | None = None
    nth: int = 1
    times: int = 1


class ReadFault(msgspec.Struct, frozen=True, kw_only=True):
    """Let the `nth` call of `verb` from now on, and the `times - 1` after it, raise `error`."""

    error: HostError
    verb: Verb = "look"
    nth: int = 1
    times: int = 1


class StaleLook(msgspec.Struct, frozen=True, kw_only=True):
    """Let the `nth` look from now on answer what the look `back` before it answered, if there was one."""

    nth: int = 1
    times: int = 1
    back: int = 1


class ByHand(msgspec.Struct, frozen=True, kw_only=True):
    """Let somebody change the world right before the `nth` call, of whatever kind, from now on."""

    change: Callable[[World], object]
    nth: int = 1
    times: int = 1


Fault = EffectFault | ReadFault | StaleLook | ByHand


class _Planned(Protocol):
    @property
    def nth(self) -> int: ...
    @property
    def times(self) -> int: ...


_P = TypeVar("_P", bound=_Planned)


class _Pending(Generic[_P]):
    """Count calls until a fault is due."""

    def __init__(self, fault: _P) -> None:
        self.fault = fault
        self._seen = 0

    def due(self) -> bool:
        """Count one call, and tell whether it is one to be troubled."""
        self._seen += 1
        return self.fault.nth <= self._seen < self.fault.nth + self.fault.times


class Script:
    """Hold what will go wrong on one connection, and count its calls."""

    def __init__(self, *faults: Fault) -> None:
        self._effects: list[_Pending[EffectFault]] = []
        self._reads: list[_Pending[ReadFault]] = []
        self._stale: list[_Pending[StaleLook]] = []
        self._hands: list[_Pending[ByHand]] = []
        self.add(*faults)

    def add(self, *faults: Fault) -> None:
        """Plan more faults; each counts calls from now on."""
        for fault in faults:
            match fault:
                case EffectFault():
                    self._effects.append(_Pending(fault))
                case ReadFault():
                    self._reads.append(_Pending(fault))
                case StaleLook():
                    self._stale.append(_Pending(fault))
                case ByHand():
                    self._hands.append(_Pending(fault))

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._effects, self._reads, self._stale, self._hands = [], [], [], []

    def meddle(self, world: World) -> None:
        """Let the hand do what is due before this call."""
        for pending in self._hands:
            if pending.due():
                pending.fault.change(world)

    def on_read(self, verb: Verb) -> None:
        """Raise the error that is due for this read."""
        due = [pending.fault for pending in self._reads if pending.fault.verb == verb and pending.due()]
        if due:
            raise due[0].error

    def on_look(self) -> int:
        """Tell how many looks back this one is to answer; 0 is the present."""
        return max((pending.fault.back for pending in self._stale if pending.due()), default=0)

    def on_effect(self, effect: Effect) -> Trouble | None:
        """Tell what goes wrong with this effect; of several, the one planned first."""
        kind = str(effect.__struct_config__.tag)
        due = [pending.fault for pending in self._effects if pending.fault.kind in {None, kind} and pending.due()]
        return due[0].trouble if due else None
