"""Render a file's content from what the specs say, in one canonical form."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pydantic import ValidationInfo

from reconciler.model.text import Late, Template
from reconciler.spec.refusal import kind_of, refuse, text_of, with_gaps
from reconciler.spec.scalar import Scalar, misreading

_JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?")
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def json_scalar(scalar: Scalar) -> str | int | float | bool | None:
    """Read a scalar for which no field decides the type: only what JSON itself writes so is no text."""
    text = scalar.text
    if not scalar.plain:
        return text
    if text in ("true", "false"):
        return text == "true"
    if text in ("null", ""):
        return None
    if _JSON_NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    reading = misreading(text)
    if reading is not None:
        message = f"without quotes {{got}} would be read as {reading} by some, as text by others"
        raise refuse("E_YAML_AMBIGUOUS", message, got=scalar, hint="write {quoted}")
    return text


def json_data(value: object) -> Any:
    """Turn mappings, lists and scalars as written into what JSON holds."""
    if isinstance(value, dict):
        return {key: json_data(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [json_data(item) for item in value]
    return json_scalar(value) if isinstance(value, Scalar) else value


def rendered(value: object, info: ValidationInfo) -> str | Template:
    """Render a file's content by its `format`: text as it is; json and env sorted by key, each line ended."""
    if isinstance(value, Template):
        return value
    if "format" not in info.data:
        return ""  # the format itself is refused
    match info.data["format"]:
        case "json":
            if not isinstance(value, (dict, tuple)):
                hint = "write the mapping or list itself; take `format: json` away for text that is JSON already"
                raise refuse("E_TYPE", "a mapping or a list is wanted here, not text", got=value, hint=hint)
            return _as_json(value)
        case "env":
            return _as_env(value)
        case _:
            if isinstance(value, (dict, tuple)):
                hint = "add `format: json` or `format: env`, or write text"
                raise refuse("E_TYPE", f"text is wanted here, not a {kind_of(value)}", hint=hint)
            return with_gaps(text_of(value, late=True))


def _as_json(value: object) -> str | Template:
    text = json.dumps(json_data(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    content = with_gaps(text)
    if isinstance(content, Template) and any(isinstance(part, Late) and part.is_secret for part in content.parts):
        hint = "use format env or text, or give the secret in the container's env"
        raise refuse("E_INTERPOLATION", "a secret cannot stand in JSON, which it could break", hint=hint)
    return content


def _as_env(value: object) -> str | Template:
    if not isinstance(value, dict):
        raise refuse("E_TYPE", f"a mapping of variables is wanted here, not a {kind_of(value)}")
    lines = []
    for name in sorted(value):
        if _ENV_NAME.fullmatch(name) is None:
            raise refuse("E_ENV", "{got} is no name of a variable", got=name)
        text = _env_value(name, value[name])
        if "\n" in text or "\r" in text:
            hint = "write the file as text, in the form that its reader knows for such values"
            raise refuse("E_ENV", "a variable in an env file cannot hold a line break: {got}", got=name, hint=hint)
        lines.append(f"{name}={text}\n")
    return _in_one_line(with_gaps("".join(lines)))


def _in_one_line(content: str | Template) -> str | Template:
    """Mark the secrets in content: nobody knows yet whether a line break in one would add a variable."""
    if isinstance(content, str):
        return content
    marked = (
        Late(part.name, one_line=True) if isinstance(part, Late) and part.is_secret else part for part in content.parts
    )
    return Template(tuple(marked))


def _env_value(name: str, value: object) -> str:
    if isinstance(value, Scalar) and value.plain and value.text in ("null", ""):
        hint = 'write "" for an empty value; take the line away for no variable'
        raise refuse("E_ENV", "{got} has no value, and a variable in an env file needs one", got=name, hint=hint)
    return text_of(value, late=True)
