"""Know the files that we put into a sandbox's own folder, so that they go when no spec names them any more.

Its marker remembers them, because nothing else on a host tells our file from one that a program of the sandbox wrote.
Files below a storage root are data and stay; those of a run stay with the run's folder.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.desired import SandboxDesired
from reconciler.model.marker import Marker
from reconciler.model.text import bind, is_run_scoped


def own_folder(base_dir: str, uid: str) -> str:
    """Give the folder of a sandbox."""
    return f"{base_dir}/{uid}"


def own_files(want: SandboxDesired, *, base_dir: str, bindings: Mapping[str, str]) -> tuple[str, ...]:
    """Name the files that the specs want in the sandbox's own folder, by their paths below it, sorted."""
    folder = own_folder(base_dir, want.uid) + "/"
    paths = (str(bind(file.path, bindings)) for file in want.files if not is_run_scoped(file.path))
    return tuple(sorted(path.removeprefix(folder) for path in paths if path.startswith(folder)))


def unnamed_files(marker: Marker | None, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Name the files that we put there and that no spec names any more, deepest first."""
    known = set(marker.files) if marker is not None else set()
    return tuple(sorted(known.difference(wanted), reverse=True))
