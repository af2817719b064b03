"""One tree of errors, drawn here in full; it imports nothing.

Inside, failures are values (`Unreachable`, `NotDone`, `Unknown`, `Held`). They become exceptions only where a
whole operation cannot go on, and they leave the program as one sentence, a hint and an exit code.

    ReconcilerError                exit 1
    ├── SpecInvalid                exit 1     every problem of a load, at once (stands in `model.problem`)
    ├── UsageError                 exit 64    wrong flags, or a selection that matches nothing
    ├── GuardRefused               exit 5     budget, empty desired set, no approval possible
    ├── PlanStale                  exit 4     what a saved plan read has changed
    ├── PlanDamaged                exit 1     a plan file that is not one, or was edited
    ├── Locked                     exit 6     another pass holds the status folder or every host
    ├── StatusFolderError          exit 1     the status folder cannot be used
    └── HostError                             one host; carries a stable code
        ├── ConnectFailed                     no session: name, refused, key, login, forwarding, socket, engine
        ├── ReadFailed                        a read that failed or was cut short: never "empty"
        └── OutcomeUnknown                    a mutating call whose reply never came: look again

`code` is stable (`E_…`) and meant for programs; people get `message` and `hint`.
"""

from __future__ import annotations

from typing import ClassVar


class ReconcilerError(Exception):
    """Stop an operation with a message for people, a stable code for programs, and an exit status."""

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, code: str = "E_INTERNAL", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


class UsageError(ReconcilerError):
    """Refuse a command line: wrong flags, or a selection that matches nothing."""

    exit_status = 64

    def __init__(self, message: str, *, hint: str | None = None, code: str = "E_USAGE") -> None:
        super().__init__(message, code=code, hint=hint)


class GuardRefused(ReconcilerError):
    """Refuse to change anything because a guard stands in the way."""

    exit_status = 5

    def __init__(self, message: str, *, hint: str | None = None, code: str = "E_GUARD") -> None:
        super().__init__(message, code=code, hint=hint)


class PlanStale(ReconcilerError):
    """Refuse a plan that was saved or shown: something it read has changed. `changed` names each thing."""

    exit_status = 4

    def __init__(self, changed: tuple[str, ...], *, was_saved: bool) -> None:
        what = "the saved plan is stale" if was_saved else "what the plan rests on has changed while it was read"
        super().__init__(
            f"{what}: {'; '.join(changed)}",
            code="E_PLAN_STALE",
            hint="plan again, read it, and apply the new file" if was_saved else "nothing was changed; apply again",
        )
        self.changed = changed


class PlanDamaged(ReconcilerError):
    """Refuse a plan file that is not one, was edited, or was written by another version."""


class Locked(ReconcilerError):
    """Yield to another pass; the message names the holder and since when."""

    exit_status = 6

    def __init__(self, what: str, holder: str, since: str) -> None:
        super().__init__(
            f"{what} is locked by {holder} since {since}",
            code="E_LOCKED",
            hint="wait for that pass to end, or give --lock-timeout SECONDS",
        )
        self.holder = holder
        self.since = since


class StatusFolderError(ReconcilerError):
    """Refuse a status folder that cannot be written or trusted."""

    def __init__(self, message: str, *, hint: str | None = None, code: str = "E_STATUS_DIR") -> None:
        super().__init__(message, code=code, hint=hint)


class HostError(ReconcilerError):
    """Report a failure of one host. `transient` says whether a later try may succeed unchanged."""

    def __init__(self, message: str, *, code: str, hint: str | None = None, transient: bool = False) -> None:
        super().__init__(message, code=code, hint=hint)
        self.transient = transient


class ConnectFailed(HostError):
    """No usable session to the host could be made."""


class ReadFailed(HostError):
    """A read failed or ended early; nothing may be concluded from it."""


class OutcomeUnknown(HostError):
    """A mutating call was sent and its reply never came: it may have happened."""
