"""Say that an invariant does not hold."""

from __future__ import annotations


class Violated(BaseException):
    """An invariant does not hold. It is no `Exception`, so that no handler of the product can take it."""

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant = invariant
        self.message = message
