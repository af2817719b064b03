"""Lay the ground that most commands stand on: the specs, the records, a clock, the doors to hosts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from reconciler import __version__
from reconciler.cli.clock import SystemClock
from reconciler.cli.revision import contained, revision_of
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.load.folder import SpecFile
    from reconciler.model.desired import Desired
    from reconciler.model.record import Records
    from reconciler.passes import PassAsked
    from reconciler.plan import Selection
    from reconciler.record.store import StatusStore

T = TypeVar("T")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one fleet as a command works on it."""

    specs: Path
    desired: Desired
    store: StatusStore
    clock: SystemClock
    pass_id: str


def lay_ground(specs: Path, status: Path, *, more: tuple[SpecFile, ...] = ()) -> Ground:
    """Load the specs and point at the status folder; reaches no host. `more` counts as files of the specs.

    Raises:
        SpecInvalid: with every problem of the specs.
    """
    import secrets

    from reconciler.record.store import StatusStore

    desired = load_desired_in_full(specs, more=more)
    # By their names alone: a link, or the root of the file system, is refused with its own words.
    here, there = Path.cwd() / specs, Path.cwd() / status
    if here == there or (there in here.parents and there != Path("/")):
        hint = "status files are not committed: give them a folder of their own, such as --status status"
        raise UsageError(f"the specs in {specs} would lie in the status folder {status}", hint=hint)
    clock = SystemClock()
    pass_id = f"{clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    store = StatusStore(status, fleet=desired.fleet)
    return Ground(specs=specs, desired=desired, store=store, clock=clock, pass_id=pass_id)


def load_records(ground: Ground) -> Records:
    """Load what is remembered of the fleet; the look that follows says what of it is damaged.

    Raises:
        StatusFolderError: the folder is another fleet's or a newer version's.
    """
    from reconciler.record.fold import records_of

    return records_of(ground.store.load(now=ground.clock.now()).statuses)


def load_desired_in_full(specs: Path, *, more: tuple[SpecFile, ...] = ()) -> Desired:
    """Load and lower a spec folder, and read every tree that a sandbox has as its source: what a plan needs."""
    desired = load_desired(specs, more=more)
    if not desired.sourced:
        return desired
    from reconciler.load.trees import with_trees

    return with_trees(desired, specs)


def load_desired(specs: Path, *, more: tuple[SpecFile, ...] = ()) -> Desired:
    """Load and lower a spec folder; unchanged specs import neither YAML nor pydantic. Trees are not read."""
    from reconciler.model.desired import Desired

    return load_part(Desired, specs, more=more)


def load_part(kind: type[T], specs: Path, *, more: tuple[SpecFile, ...] = ()) -> T:
    """Load a spec folder as `load_desired` does, for some fields of `Desired` alone."""
    from reconciler.cli.load_bar import load_bar
    from reconciler.load import load_as

    def lower_documents(documents: object) -> Desired:
        from reconciler.load.lower import lower  # a remembered load needs none

        return lower(documents)  # type: ignore[arg-type]  # load_as gives what load gives

    with load_bar() as tell:
        return load_as(kind, lower_documents, specs, tell=tell, more=more)


def question_of(
    ground: Ground,
    selection: Selection,
    *,
    removals_allowed: int | None = None,
    destroying: frozenset[str] = frozenset(),
    updates_images: bool = False,
    accepted: list[str] | None = None,
    with_secrets: bool = True,
) -> PassAsked:
    """Ask for a pass over this ground; `accepted` are commits that a person vouches for.

    `with_secrets` reads the values of secrets: without them nothing that holds one can be compared or made.
    """
    from reconciler.cli.secret_files import read_secrets
    from reconciler.passes import PassAsked
    from reconciler.plan import PlanRequest

    return PassAsked(
        desired=ground.desired,
        request=PlanRequest(
            now=ground.clock.now(),
            pass_id=ground.pass_id,
            tool=__version__,
            revision=revision_of(ground.specs),
            secrets=read_secrets(ground.desired) if with_secrets else {},
            selection=selection,
            destroying=destroying,
            updates_images=updates_images,
            removals_allowed=removals_allowed,
        ),
        ancestors=ancestors_of(ground.specs, accepted or []),
        only=selection.hosts,
    )


def ancestors_of(specs: Path, accepted: list[str]) -> Callable[[frozenset[str]], frozenset[str]]:
    """Tell which commits the specs' own contains, or a person accepted; asks git only when something is to be told.

    Raises:
        UsageError: an accepted commit is not 7 to 40 hex digits.
    """
    for commit in accepted:
        if _COMMIT.fullmatch(commit) is None:
            raise UsageError(f"--accept-revision {commit!r} is no commit", hint="write 7 to 40 of its hex digits")

    def tell(commits: frozenset[str]) -> frozenset[str]:
        vouched = frozenset(commit for commit in commits if commit.startswith(tuple(accepted)))
        return vouched | contained(specs, commits - vouched - {"none"})

    return tell


def owner() -> str:
    """Name this process as others read it on a lock: `who@machine pid 123`."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} pid {os.getpid()}"
