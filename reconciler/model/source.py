"""Say where in the specs something was written."""

from __future__ import annotations

import msgspec


class SourceRef(msgspec.Struct, frozen=True, order=True):
    """Point at one place in a spec file: path as the operator gave it, line and column from 1."""

    file: str
    line: int
    col: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}"
