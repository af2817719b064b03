"""Say canonical values as operators write them."""

from __future__ import annotations

import msgspec

from reconciler.model.resource import TREE_BEGUN, Gpus, Mount, Published, Ulimit
from reconciler.model.size import exact_size
from reconciler.model.text import Template

_NANOS = 1_000_000_000


_DIGEST_SHOWN = len("tree1:") + 12


def tree_in_words(content: str) -> str:
    """Say which tree it is, or that there is none."""
    return "(not whole)" if content in ("", TREE_BEGUN) else content[:_DIGEST_SHOWN]


def in_words(field: str, value: object) -> str:
    """Write one value of a field for people: sizes with units, CPUs as a number, lists as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and field.endswith("_bytes"):
        return exact_size(value)
    if isinstance(value, int) and field == "cpu_nanos":
        return f"{value / _NANOS:g}"
    match value:
        case str() | Template():
            return str(value)
        case Mount(kind=kind, source=source, read_only=read_only):
            return f"{kind} {source}{' (read-only)' if read_only else ''}"
        case Published(bind=bind, host_port=host_port):
            return f"{bind}:{host_port if host_port is not None else '(any free port)'}"
        case Gpus(count=count):
            return "all GPUs" if count is None else f"{count} GPU{'' if count == 1 else 's'}"
        case Ulimit(soft=soft, hard=hard):
            return f"{soft}:{hard}"
        case tuple():
            return msgspec.json.encode([str(item) for item in value]).decode()
        case msgspec.Struct():
            return msgspec.json.encode(value, order="deterministic").decode()
        case _:
            return str(value)
