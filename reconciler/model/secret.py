"""Hold a secret's value so that whoever prints what holds it prints no secret."""

from __future__ import annotations

from reconciler.model.text import SECRET_SHOWN


class Secret(str):
    """Be the value in every way but one: what Python shows of it, in structs, mappings and tracebacks, is `(secret)`.

    What it is added to is a secret too. `str()`, formatting and joining give plain text: that is how it is sent.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Show that there is one, and nothing of it."""
        return SECRET_SHOWN

    def __add__(self, after: str) -> Secret:
        """Put text behind it."""
        return Secret(str.__add__(self, after))

    def __radd__(self, before: str) -> Secret:
        """Put it behind text."""
        return Secret(str.__add__(before, self))
