"""Hold what is true of a sandbox on its host and may change: the mutable twin of the labels."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

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
