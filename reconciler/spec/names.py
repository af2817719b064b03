"""Define the types of names: of objects, of things inside a sandbox, of variables and labels."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from reconciler.model.names import NAME_LENGTH_MAX, NAME_LENGTH_MIN, NAME_PATTERN, RESERVED_PREFIXES, name_fault
from reconciler.spec.refusal import refuse, text_of

LABEL_PREFIX: Final = "dev.reconciler."

_RESOURCE_NAME: Final = re.compile(NAME_PATTERN)
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL_KEY: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?")
_LABEL_KEY_LENGTH_MAX: Final = 128
_SECRET_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")


def _name(value: object) -> str:
    text = text_of(value, wanted="a name")
    fault = name_fault(text)
    if fault is None:
        return text
    code = "E_NAME_RESERVED" if text.startswith(RESERVED_PREFIXES) else "E_NAME"
    raise refuse(code, f"{{got}} is no acceptable name: {fault}", got=text)


def _resource_name(value: object) -> str:
    text = text_of(value, wanted="a name")
    if len(text) > NAME_LENGTH_MAX or not text.isascii() or _RESOURCE_NAME.fullmatch(text) is None:
        message = "{got} is no acceptable name: 1 to 40 ASCII lower-case letters, digits and '-'"
        raise refuse("E_NAME", message, got=text)
    return text


def _reference(value: object) -> str:
    return text_of(value, wanted="a name")


def _env_name(value: object) -> str:
    text = text_of(value, wanted="a variable's name")
    if _ENV_NAME.fullmatch(text) is None:
        message = "{got} is no name of a variable: letters, digits and '_', not beginning with a digit"
        raise refuse("E_ENV", message, got=text)
    return text


def _label_key(value: object) -> str:
    text = text_of(value, wanted="a label's key")
    if len(text) > _LABEL_KEY_LENGTH_MAX or _LABEL_KEY.fullmatch(text) is None:
        message = "{got} is no label key: up to 128 ASCII letters, digits, '.', '_', '/' and '-'"
        raise refuse("E_LABEL", message, got=text)
    return text


def _free_label_key(text: str) -> str:
    if text.startswith(LABEL_PREFIX):
        message = f"labels that begin with {LABEL_PREFIX} are the reconciler's own"
        raise refuse("E_LABEL_RESERVED", message, got=text)
    return text


def _secret_name(value: object) -> str:
    text = text_of(value, wanted="a secret's name")
    if len(text) > NAME_LENGTH_MAX or _SECRET_NAME.fullmatch(text) is None:
        raise refuse("E_NAME", "{got} is no name of a secret: lower-case letters, digits, '.', '_' and '-'", got=text)
    return text


_NAME_SCHEMA = {
    "type": "string",
    "pattern": f"^{NAME_PATTERN}$",
    "minLength": NAME_LENGTH_MIN,
    "maxLength": NAME_LENGTH_MAX,
}
_RESOURCE_SCHEMA = {"type": "string", "pattern": f"^{NAME_PATTERN}$", "maxLength": NAME_LENGTH_MAX}

Name = Annotated[str, BeforeValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
"""The name of a document: unique for its kind in a fleet."""
ResourceName = Annotated[str, BeforeValidator(_resource_name), WithJsonSchema(_RESOURCE_SCHEMA)]
"""The name of something inside a sandbox."""
Reference = Annotated[str, BeforeValidator(_reference), WithJsonSchema({"type": "string"})]
"""The name of something else; whether it exists is a matter of the whole load."""
EnvName = Annotated[
    str, BeforeValidator(_env_name), WithJsonSchema({"type": "string", "pattern": f"^{_ENV_NAME.pattern}$"})
]
LabelKey = Annotated[
    str, BeforeValidator(_label_key), WithJsonSchema({"type": "string", "pattern": f"^{_LABEL_KEY.pattern}$"})
]
FreeLabelKey = Annotated[LabelKey, AfterValidator(_free_label_key)]
SecretName = Annotated[
    str, BeforeValidator(_secret_name), WithJsonSchema({"type": "string", "pattern": f"^{_SECRET_NAME.pattern}$"})
]
