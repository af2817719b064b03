"""Define the type of image references."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

from reconciler.spec.refusal import refuse, text_of

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REGISTRY = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?"
)
_REFERENCE: Final = re.compile(
    rf"(?:(?:localhost|{_REGISTRY}(?<=[.:0-9a-zA-Z]))/)?{_PART}(?:/{_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_LENGTH_MAX: Final = 512


def _reference(value: object) -> str:
    text = text_of(value, wanted="an image")
    if not 0 < len(text) <= _LENGTH_MAX or _REFERENCE.fullmatch(text) is None or _upper_without_registry(text):
        message = "{got} is no image reference: [registry/]name[:tag][@sha256:…], the name in lower case"
        raise refuse("E_IMAGE_REF", message, got=text)
    return text


def _upper_without_registry(text: str) -> bool:
    """Say whether a first part in upper case is no registry: only one with a dot, a port or `localhost` is."""
    first, slash, _ = text.partition("/")
    return bool(slash) and first != first.lower() and "." not in first and ":" not in first


ImageRef = Annotated[str, BeforeValidator(_reference), WithJsonSchema({"type": "string", "maxLength": _LENGTH_MAX})]
