"""Say why a folder cannot be sent to a host."""

from __future__ import annotations


class TreeUnreadable(Exception):
    """Say why a folder cannot be taken as a tree: a sentence, and the way out."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
