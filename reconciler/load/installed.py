"""Find the profiles that come with the program."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import reconciler
from reconciler.load.folder import SpecFile

# In an installed package they are data of it; in a checkout they stand beside it.
_PLACES: Final = ("data/profiles", "../profiles")


def installed_profiles() -> tuple[SpecFile, ...]:
    """Read the profiles that a fleet may name without declaring them; sorted by file name."""
    root = Path(reconciler.__file__).parent
    folder = next((root / place for place in _PLACES if (root / place).is_dir()), None)
    if folder is None:
        return ()
    files = []
    for path in sorted(folder.glob("*.yaml")):
        data = path.read_bytes()
        files.append(SpecFile(f"profiles/{path.name}", data, hashlib.sha256(data).hexdigest()))
    return tuple(files)
