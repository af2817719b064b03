"""Make values that nobody can guess, and find them in whatever form they may have slipped out."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from urllib.parse import quote, quote_plus

_LEAST = 10  # of anything shorter, a hit would prove nothing


def hatch(*, lines: int = 1) -> str:
    """Make one; its characters are written differently by JSON, URLs, HTML and shells."""
    return "\n".join(f'c4/+{secrets.token_hex(12)}"&%' for _ in range(lines))


@cache
def forms(value: str) -> tuple[bytes, ...]:
    """Give every form in which a value is looked for: itself and its lines, encoded in the ways that programs do."""
    pieces = {value, *value.splitlines()}
    return tuple(sorted({form for piece in pieces for form in _forms_of(piece) if len(form) >= _LEAST}))


def _forms_of(piece: str) -> Iterator[bytes]:
    data = piece.encode()
    texts = [
        piece,
        json.dumps(piece)[1:-1],
        json.dumps(json.dumps(piece))[3:-3],
        quote(piece),
        quote(piece, safe=""),
        quote_plus(piece),
        html.escape(piece),
        repr(piece)[1:-1],
        json.dumps(piece)[1:-1].replace("&", "\\u0026"),
    ]
    for text in texts:
        yield text.encode()
        yield text.lower().encode()
    for before in range(3):
        digits = base64.b64encode(b"\0" * before + data)
        core = digits[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")
    yield data.hex().encode()
    for end in (b"", b"\n"):
        yield hashlib.sha256(data + end).hexdigest().encode()
        yield hashlib.md5(data + end, usedforsecurity=False).hexdigest().encode()


def sightings(canaries: Mapping[str, str], texts: Iterable[tuple[str, bytes]]) -> list[str]:
    """Name each place where a canary is: `NAME in PLACE: what stands around it`, without the value itself."""
    return [
        f"{name} in {place} at {text.find(form)}, as {form[:4]!r}…"
        for place, text in texts
        for name, value in canaries.items()
        for form in forms(value)
        if form in text
    ]


def files_below(*folders: Path, but: Iterable[Path] = ()) -> Iterator[tuple[str, bytes]]:
    """Give the path and the bytes of every plain file below folders, its path being searched too."""
    left_out = set(but)
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path not in left_out:
                yield str(path), str(path).encode() + b"\n" + path.read_bytes()
