"""Read how far the newest pass came where it has not ended: its plan is what it was to do, its journal what it did."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from reconciler.disk.whole import closing, names_in, open_folder
from reconciler.errors import StatusFolderError
from reconciler.model.plan import Action, Apply, Plan
from reconciler.model.unfinished import ActionState, PassState, UnfinishedAction, UnfinishedPass
from reconciler.record.journal import EVENTS_FILE, OUTCOMES_FILE, PASSES, PLAN_FILE, Line, pass_ids
from reconciler.record.lock import last_holder

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def find_unfinished(folder: Path, *, looked_at: datetime | None) -> UnfinishedPass | None:
    """Find the newest pass, if it has not ended and no later one has.

    Args:
        folder: the status folder; nothing in it is changed.
        looked_at: when a pass last wrote down what it saw, which all of one that ends well do.

    Raises:
        StatusFolderError: nobody can tell which pass is the newest.
    """
    try:
        found = _find(folder, looked_at=looked_at)
        # One that ran as it was asked about may have ended since, and it says so before it lets go.
        return found if found is None or found.state == "running" else _find(folder, looked_at=looked_at)
    except OSError as error:
        raise StatusFolderError(
            f"the passes in {folder}/{PASSES} cannot be read: {error.strerror}",
            hint="its folders must be plain ones of yours",
            code="E_STATUS_DIR",
        ) from error


def _find(folder: Path, *, looked_at: datetime | None) -> UnfinishedPass | None:
    with contextlib.ExitStack() as stack:
        try:
            root = closing(stack, open_folder(str(folder)))
            passes = closing(stack, open_folder(PASSES, inside=root))
        except FileNotFoundError:
            return None
        for pass_id in pass_ids(folder):
            with contextlib.suppress(FileNotFoundError):
                one = closing(stack, open_folder(pass_id, inside=passes))
                names = set(names_in(one))
                if names.isdisjoint({PLAN_FILE, EVENTS_FILE, OUTCOMES_FILE}):
                    continue
                began_at = _began_at(one)
                # A pass that finds nothing to do leaves no journal, but it writes down what it saw.
                if OUTCOMES_FILE in names or (looked_at is not None and looked_at > began_at):
                    return None
                return _read(one, pass_id, began_at=began_at, by=_who(root, began_at=began_at))
    return None


def _began_at(folder: int) -> datetime:
    """Tell when the plan was laid down, or when it was to be: a saved one was made long before."""
    try:
        found = os.stat(PLAN_FILE, dir_fd=folder, follow_symlinks=False)
    except OSError:
        found = os.fstat(folder)
    return datetime.fromtimestamp(found.st_mtime, UTC)


def _who(root: int, *, began_at: datetime) -> str:
    """Name who held the status folder; whoever came later has written over that."""
    holder = last_holder(root)
    return "" if holder is None or holder.since > began_at else holder.owner


def _read(folder: int, pass_id: str, *, began_at: datetime, by: str) -> UnfinishedPass:
    unreadable: list[str] = []
    state: PassState = "unknown"
    try:
        state = "running" if _is_held(folder) else "cut"
    except OSError as error:
        unreadable.append(f"nobody can tell whether it still runs: {EVENTS_FILE}: {error.strerror}")
    plan = _plan_in(folder, unreadable)
    lines = _lines_in(folder, unreadable)
    actions = () if plan is None else tuple(_told(action, lines) for action in plan.actions)
    return UnfinishedPass(
        id=pass_id,
        state=state,
        began_at=began_at,
        by=by,
        fleet=None if plan is None else plan.fleet,
        actions=actions,
        unreadable=tuple(unreadable),
    )


def _is_held(folder: int) -> bool:
    """Tell whether the process that keeps this journal lives: it holds the file as long as it does."""
    file = os.open(EVENTS_FILE, _FLAGS, dir_fd=folder)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _plan_in(folder: int, unreadable: list[str]) -> Plan | None:
    try:
        return msgspec.json.decode(_content(PLAN_FILE, folder=folder), type=Plan)
    except OSError as error:
        why = error.strerror
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = f"it is damaged: {error}"
    unreadable.append(f"its plan cannot be read, so nobody can tell what it was to do: {PLAN_FILE}: {why}")
    return None


def _lines_in(folder: int, unreadable: list[str]) -> list[Line] | None:
    """Give the lines of the journal; what cannot be read hides whether something was begun, so there is None then."""
    try:
        content = _content(EVENTS_FILE, folder=folder)
    except OSError as error:
        unreadable.append(f"its journal cannot be read: {EVENTS_FILE}: {error.strerror}")
        return None
    # The end of a line comes last: of one without it, the effect was not sent yet, or its answer is lost.
    *whole, _torn = content.split(b"\n")
    lines = list(_decoded(whole))
    damaged = len(whole) - len(lines)
    if damaged:
        unreadable.append(f"its journal is damaged: {damaged} of {len(whole)} lines of {EVENTS_FILE} cannot be read")
        return None
    return lines


def _decoded(whole: Iterable[bytes]) -> Iterator[Line]:
    for raw in whole:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            yield msgspec.json.decode(raw, type=Line)


def _content(name: str, *, folder: int) -> bytes:
    """Read a plain file, whatever its size: a plan grows with its fleet."""
    file = os.open(name, _FLAGS, dir_fd=folder)
    with os.fdopen(file, "rb") as stream:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(0, "it is no regular file")
        return stream.read()


def _told(action: Action, lines: list[Line] | None) -> UnfinishedAction:
    """Say how far an action came; without a journal, any of it may have happened."""
    planned = {step.id: step.title for step in action.steps if isinstance(step.do, Apply)}
    tries: dict[str, list[Line]] = {}
    for line in lines or ():
        # What was taken back after a failure is in no plan.
        if line.step in planned or line.step.startswith(f"{action.id}/undo-"):
            tries.setdefault(line.step, []).append(line)
    done = {step for step, those in tries.items() if those[-1].outcome == "done"}
    unknown = [those[0].title for step, those in tries.items() if step not in done and _may_be_done(those)]
    state: ActionState = "begun"
    if lines is None or unknown:
        state = "unknown"
    elif not done:
        state = "not_done"
    elif done == planned.keys():
        state = "done"
    return UnfinishedAction(
        sandbox=action.sandbox,
        host=action.host,
        verb=action.verb,
        state=state,
        changes=len(planned),
        changes_done=len(done & planned.keys()),
        unknown=tuple(planned.values() if lines is None else unknown),
    )


def _may_be_done(tries: list[Line]) -> bool:
    """Tell whether a try of one step was sent and its answer is not known."""
    refused = sum(line.outcome == "not_done" for line in tries)
    return sum(line.moment == "before" for line in tries) > refused
