"""Hold what is true of a sandbox on its host and may change: the mutable twin of the labels."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.text import printable

MARKER_NAME = ".reconciler.json"


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """Describe `<baseDir>/<uid>/.reconciler.json` (0600, replaced atomically).

    Attributes:
        version: of this form; a newer one is held, never guessed at.
        fleet, sandbox, uid: whose it is; the folder's name must equal `uid`.
        generation: counts changes of the sandbox's intent, from 1.
        intent: versioned digest of the intent that `generation` stands for.
        revision: the specs' commit that last changed the sandbox.
        run: id of the current run.
        created_at: when the sandbox was first made, by the controller's clock.
        deletion: what becomes of it when its spec goes.
        protected: refuse to destroy or replace it.
        ttl_s: seconds to live from `created_at`, or None.
        origin: `spec`, or `adhoc` for what a command made.
        phase: `expired` keeps a sandbox absent until its spec changes.
        adopted: resources taken over by `adopt`, key to full id: proof where labels cannot be added.
    """

    version: int = 1
    fleet: str
    sandbox: str
    uid: str
    generation: int
    intent: str
    revision: str
    run: str
    created_at: datetime
    deletion: Literal["Delete", "Retain"] = "Delete"
    protected: bool = False
    ttl_s: int | None = None
    origin: Literal["spec", "adhoc"] = "spec"
    phase: Literal["present", "expired"] = "present"
    adopted: dict[str, str] = {}


def read_marker(content: str) -> Marker | str:
    """Read a marker, or say in words why it cannot be taken as one."""
    try:
        marker = msgspec.json.decode(content, type=Marker)
    except (msgspec.DecodeError, UnicodeError) as error:
        return f"it cannot be read: {printable(str(error))[:200]}"
    return marker if marker.version == 1 else f"it is of version {marker.version}, which this program does not know"
