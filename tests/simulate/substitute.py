"""Put another function in the place of one of the product, for one run: mutants are substitutions, never branches."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import Any


def original(target: str) -> Any:
    """Give what `target`, written as for `substituted`, is now."""
    place, name = _find(target)
    return getattr(place, name)


def _find(target: str) -> tuple[Any, str]:
    where, _, path = target.partition(":")
    *outer, name = path.split(".")
    place: Any = importlib.import_module(where)
    for part in outer:
        place = getattr(place, part)
    return place, name


@contextlib.contextmanager
def substituted(target: str, new: object) -> Iterator[None]:
    """Let `target`, written `module:name` or `module:Class.name`, be `new` while the block runs.

    A function is exchanged in every module of the product that knows it, under whatever name it was imported.
    """
    place, name = _find(target)
    old = getattr(place, name)
    places = [(place, name)]
    if "." not in target.partition(":")[2]:
        places += [
            (module, bound)
            for known, module in list(sys.modules.items())
            if known.startswith(("reconciler.", "tests.simulate")) and module is not place
            for bound, value in list(vars(module).items())
            if value is old
        ]
    for holder, bound in places:
        setattr(holder, bound, new)
    try:
        yield
    finally:
        for holder, bound in places:
            setattr(holder, bound, old)
