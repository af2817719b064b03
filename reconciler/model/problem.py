"""Say what is wrong with a spec, in one line that a tired person can act on."""

from __future__ import annotations

import msgspec

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
