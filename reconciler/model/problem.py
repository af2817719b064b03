"""Say what is wrong with a spec, in one line that a tired person can act on."""

from __future__ import annotations

import msgspec

from reconciler.errors import ReconcilerError
from reconciler.model.source import SourceRef


class Problem(msgspec.Struct, frozen=True):
    """Describe one thing wrong in the specs.

    Attributes:
        code: stable id for programs, e.g. `E_YAML_DUPKEY`.
        at: where it was written; line 0 when it is about a whole file or folder.
        field: dotted path inside the document, e.g. `spec.containers.main.image`, or empty.
        message: what is wrong and what was expected; never the value of a secret.
        hint: what to do about it, or None.
    """

    code: str
    at: SourceRef
    message: str
    field: str = ""
    hint: str | None = None


class SpecInvalid(ReconcilerError):
    """Refuse a load; `problems` holds every one of them, in file order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the specs", code="E_SPEC")
        self.problems = problems
