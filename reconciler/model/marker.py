"""Hold what is true of a sandbox on its host and may change: the mutable twin of the labels."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

import msgspec

from reconciler.model.names import is_full_id
from reconciler.model.text import printable

MARKER_NAME = ".reconciler.json"

_BORN_MIN = datetime(2000, 1, 1, tzinfo=UTC)
_BORN_MAX = datetime(2200, 1, 1, tzinfo=UTC)
_TTL_MAX_S = 100 * 366 * 24 * 3600
_GENERATION_MAX = 2**53
"""Beyond this, programs that read JSON numbers as doubles would see another one."""

_TEXT_MAX = 4096
_UID = re.compile(r"[0-9a-f]{8}")


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
        tree: digest of the tree that was placed whole in the sandbox's folder, `begun` while one is brought, or empty.
        compose: digest of how its compose file was last brought up, or empty.
        files: what we put into the sandbox's folder, by paths below it: what no spec names any more goes.
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
    files: tuple[str, ...] = ()
    tree: str = ""
    compose: str = ""


def read_marker(content: str) -> Marker | str:
    """Read a marker, or say in words why it cannot be taken as one.

    It lies where others may write, so what would break arithmetic with it later is refused here.
    """
    try:
        marker = msgspec.json.decode(content, type=Marker)
    except (msgspec.DecodeError, UnicodeError) as error:
        return f"it cannot be read: {printable(str(error))[:200]}"
    if marker.version != 1:
        return f"it is of version {_number(marker.version)}, which this program does not know"
    return _absurdity(marker) or marker


def _absurdity(marker: Marker) -> str | None:
    """Say what in a marker no version of this program can have written."""
    texts = (marker.fleet, marker.sandbox, marker.intent, marker.revision, marker.run, marker.tree, marker.compose)
    if any(len(text) > _TEXT_MAX for text in (*texts, *marker.adopted, *marker.files)):
        return f"a text in it is longer than {_TEXT_MAX} characters"
    if not _UID.fullmatch(marker.uid):
        return f"its uid {printable(marker.uid[:20])} is not 8 hex digits"
    born = marker.created_at
    if born.tzinfo is None or not _BORN_MIN <= born < _BORN_MAX:
        return f"it says that the sandbox was made at {born.isoformat()}: not a time with a zone in 2000 to 2199"
    if not 1 <= marker.generation <= _GENERATION_MAX:
        return f"its generation is {_number(marker.generation)}, not 1 to 2**53"
    if marker.ttl_s is not None and not 0 <= marker.ttl_s <= _TTL_MAX_S:
        return f"its ttl is {_number(marker.ttl_s)} s, not 0 s to 100 years"
    if not all(is_full_id(full_id) for full_id in marker.adopted.values()):
        return "what it says was adopted is not named by full ids of 64 hex digits"
    if not all(_is_below(path) for path in marker.files):
        return "a file that it names is not one below the sandbox's folder"
    return None


def _is_below(path: str) -> bool:
    """Tell whether a path is one of a file below the folder, and not the marker itself."""
    return path != MARKER_NAME and not {"", ".", ".."}.intersection(path.split("/")) and "\0" not in path


def _number(number: int) -> str:
    """Write a number that may have any length."""
    return str(number) if abs(number) < 10**20 else "of more than 20 digits"
