"""Define the types of single values: text, numbers, quantities with a unit, and choices.

Each turns a scalar as written into a value, refuses what it is not with a code and a hint, and carries the JSON
Schema of its written form. The units of the results: bytes, seconds, milliseconds, shares of one, cores.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, PlainValidator, WithJsonSchema
from pydantic_core import core_schema

from reconciler.model.text import Template
from reconciler.spec.refusal import kind_of, refuse, text_of, with_gaps
from reconciler.spec.scalar import Scalar

# More digits than any quantity has; int() of thousands is slow or refused.
_DIGITS_MAX: Final = 18
_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]{1,3})?")
_QUANTITY: Final = re.compile(r"(-?[0-9]+)([A-Za-z]*)")
_PERCENT: Final = re.compile(r"([0-9]{1,3})%")
_MODE: Final = re.compile(r"0[0-7]{3}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)

_BYTES: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE_MAX: Final = 2**60
# A year: anything longer is meant as "never", which is written by leaving the field out.
_DURATION_MAX_MS: Final = 366 * 86_400_000
_MEMORY_MIN: Final = 6 * 2**20  # what Docker itself insists on


def whole_number(value: object, *, at_least: int, at_most: int, code: str = "E_RANGE") -> int:
    """Read a whole number as YAML 1.2 writes it; quotes make it text, which is refused."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        if not isinstance(value, Scalar):
            raise refuse("E_TYPE", f"a whole number is wanted here, not a {kind_of(value)}")
        if not value.plain:
            raise refuse("E_TYPE", "a whole number is wanted here, {got} is text", got=value, hint="remove the quotes")
        if _WHOLE.fullmatch(value.text) is None:
            hint = "write digits alone, without quotes, zeros before them, units or points"
            raise refuse("E_TYPE", "a whole number is wanted here, got {got}", got=value, hint=hint)
        if len(value.text) > _DIGITS_MAX:
            raise refuse(code, f"this number is out of range: {at_least} to {at_most}", got=value)
        number = int(value.text)
    if not at_least <= number <= at_most:
        raise refuse(code, f"{{got}} is out of range: {at_least} to {at_most}", got=number)
    return number


class Whole(NamedTuple):
    """Mark a field as a whole number in a range: `Annotated[int, Whole(1, 64)]`."""

    at_least: int
    at_most: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Read the scalar as written, then check the range."""
        return core_schema.no_info_before_validator_function(
            lambda value: whole_number(value, at_least=self.at_least, at_most=self.at_most), handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Give the schema of the written form."""
        return {"type": "integer", "minimum": self.at_least, "maximum": self.at_most}


def choice_text(value: object) -> str:
    """Read one word of a closed list; the field's Literal checks which."""
    return text_of(value, wanted="one word")


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Scalar) and value.plain and value.text in ("true", "false"):
        return value.text == "true"
    got = value if isinstance(value, Scalar) else kind_of(value)
    raise refuse("E_TYPE", "true or false is wanted here, got {got}", got=got, hint="write true or false, unquoted")


def _decimal(value: object, *, at_least: float, at_most: float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, Scalar):
        raise refuse("E_TYPE", f"a number is wanted here, not a {kind_of(value)}")
    if not value.plain:
        raise refuse("E_TYPE", "a number is wanted here, {got} is text", got=value, hint="remove the quotes")
    if _DECIMAL.fullmatch(value.text) is None:
        negative = re.fullmatch(r"-[0-9.]+", value.text) is not None
        raise refuse("E_RANGE" if negative else "E_TYPE", "a number such as 1.5 is wanted here, got {got}", got=value)
    if len(value.text) > _DIGITS_MAX or not at_least <= float(value.text) <= at_most:
        raise refuse("E_RANGE", f"{{got}} is out of range: {at_least} to {at_most}", got=value)
    return float(value.text)


def _quantity(value: object, units: dict[str, int], *, wanted: str, example: str, or_zero: bool = False) -> int:
    text = value.text if isinstance(value, Scalar) else text_of(value, wanted=wanted)
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        hint = f"write it with a unit, such as {example}; units: {', '.join(units)}"
        if match is not None and (match[1].startswith("-") or (match[1] == "0" and not or_zero)):
            least = "of zero or more" if or_zero else "above zero"
            raise refuse("E_RANGE", f"{wanted} {least} is wanted here, got {{got}}", got=text, hint=hint)
        if match is not None and len(match[1]) > _DIGITS_MAX:
            raise refuse("E_RANGE", f"this number is far too large for {wanted}", hint=hint)
        raise refuse("E_UNIT", f"{wanted} with a unit is wanted here, got {{got}}", got=text, hint=hint)
    if len(match[1]) > _DIGITS_MAX:
        raise refuse("E_RANGE", f"this number is far too large for {wanted}")
    return int(match[1]) * units[match[2]]


def read_size(value: object, *, at_least: int = 1) -> int:
    """Read an amount of memory or disk in bytes from text such as `512MiB`."""
    size = _quantity(value, _BYTES, wanted="a size", example="512MiB")
    if not at_least <= size <= _SIZE_MAX:
        hint = f"at least {at_least // 2**20}MiB" if at_least > 1 else None
        raise refuse("E_RANGE", "{got} is out of range for a size", got=value, hint=hint)
    return size


def read_milliseconds(value: object, *, or_zero: bool = False) -> int:
    """Read a time span in milliseconds from text such as `60s`."""
    span = _quantity(value, _MILLISECONDS, wanted="a duration", example="60s", or_zero=or_zero)
    if not (0 if or_zero else 1) <= span <= _DURATION_MAX_MS:
        hint = "from 0s to 366d" if or_zero else "from 1ms to 366d; leave the field out for never"
        raise refuse("E_RANGE", "{got} is out of range for a duration", got=value, hint=hint)
    return span


def _seconds(value: object, *, or_zero: bool = False) -> int:
    span = read_milliseconds(value, or_zero=or_zero)
    if span % 1000:
        raise refuse("E_UNIT", "whole seconds are wanted here, got {got}", got=value, hint="write 1s or more")
    return span // 1000


def _ratio(value: object) -> int:
    text = value.text if isinstance(value, Scalar) else text_of(value, wanted="a share in percent")
    match = _PERCENT.fullmatch(text)
    if match is None or int(match[1]) > 100:  # noqa: PLR2004 - per cent
        raise refuse("E_UNIT", "a share in percent is wanted here, got {got}", got=text, hint='write "0%" to "100%"')
    return int(match[1])


def _mode(value: object) -> str:
    if isinstance(value, Scalar) and value.plain and re.fullmatch(r"[0-7]{3}", value.text):
        message = "without quotes {got} would be read as a number; a mode as text is wanted here"
        raise refuse("E_YAML_AMBIGUOUS", message, got=value, hint=f'write "0{value.text}"')
    text = text_of(value, wanted="a mode as text")
    if _MODE.fullmatch(text) is None:
        raise refuse("E_MODE", "{got} is no mode", got=text, hint='write "0" and three octal digits, such as "0750"')
    return text


def _moment(value: object) -> str:
    text = text_of(value, wanted="a date and time as text")
    try:
        datetime.fromisoformat(text.upper())
        known = _MOMENT.fullmatch(text) is not None
    except ValueError:
        known = False
    if not known:
        hint = 'write it with its zone, such as "2030-01-31T18:00:00Z"'
        raise refuse("E_TYPE", "a date and time (RFC 3339) is wanted here, got {got}", got=text, hint=hint)
    return text.upper()


def _late_text(value: object) -> str | Template:
    if isinstance(value, Template):
        return value
    text = text_of(value, late=True)
    return with_gaps(text)


def _secret_text(value: object) -> Template:
    text = value if isinstance(value, Template) else with_gaps(text_of(value, late=True))
    if not (isinstance(text, Template) and len(text.parts) == 1 and text.is_secret):
        hint = 'declare it in the Fleet (spec.secrets) and write "${secret:NAME}"'
        raise refuse(
            "E_SECRET_LITERAL", "a secret never stands in a spec; a reference to one is wanted here", hint=hint
        )
    return text


def _argv(value: object) -> object:
    if isinstance(value, (Scalar, str)):
        hint = 'write a list: ["sh", "-c", "…"] where a shell is wanted; none is implied'
        raise refuse("E_TYPE", "a list of words is wanted here, not one text", hint=hint)
    return value


def default_of(written: str, read: Callable[[object], int]) -> Any:
    """Give a field its default by the written form, so that the schema shows what an operator would write."""
    return Field(default=read(written), json_schema_extra={"default": written})


def seconds(written: str) -> Any:
    """Give a duration's default, e.g. `seconds("10s")`."""
    return default_of(written, _seconds)


Text = Annotated[str, BeforeValidator(text_of), WithJsonSchema({"type": "string"})]
"""Text that is fully known when the specs are read."""
LateText = Annotated[str | Template, PlainValidator(_late_text), WithJsonSchema({"type": "string"})]
"""Text that may hold late values: `str`, or `Template` when it does."""
SecretText = Annotated[
    Template, PlainValidator(_secret_text), WithJsonSchema({"type": "string", "pattern": "^\\$\\{secret:[^{}]+\\}$"})
]
"""A reference to one secret and nothing else."""
PlainArgv = Annotated[
    tuple[Text, ...], BeforeValidator(_argv), WithJsonSchema({"type": "array", "items": {"type": "string"}})
]
"""A command that is fully known when the specs are read."""
Argv = Annotated[
    tuple[LateText, ...], BeforeValidator(_argv), WithJsonSchema({"type": "array", "items": {"type": "string"}})
]
Bool = Annotated[bool, BeforeValidator(_boolean), WithJsonSchema({"type": "boolean"})]
Cpus = Annotated[
    float,
    BeforeValidator(lambda value: _decimal(value, at_least=0.01, at_most=1024)),
    WithJsonSchema({"type": "number", "minimum": 0.01, "maximum": 1024}),
]
Load = Annotated[
    float,
    BeforeValidator(lambda value: _decimal(value, at_least=0.01, at_most=1000)),
    WithJsonSchema({"type": "number", "minimum": 0.01, "maximum": 1000}),
]
_SIZE_SCHEMA = {"type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB)$", "examples": ["512MiB"]}
Size = Annotated[int, BeforeValidator(read_size), WithJsonSchema(_SIZE_SCHEMA)]
Memory = Annotated[
    int, BeforeValidator(lambda value: read_size(value, at_least=_MEMORY_MIN)), WithJsonSchema(_SIZE_SCHEMA)
]
_DURATION_SCHEMA = {"type": "string", "pattern": "^0*[1-9][0-9]*(ms|s|m|h|d)$", "examples": ["60s"]}
Duration = Annotated[int, BeforeValidator(_seconds), WithJsonSchema(_DURATION_SCHEMA)]
"""Whole seconds, one or more."""
DurationOrZero = Annotated[
    int,
    BeforeValidator(lambda value: _seconds(value, or_zero=True)),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "examples": ["60s"]}),
]
"""Whole seconds, where none at all means "at once"."""
Milliseconds = Annotated[int, BeforeValidator(read_milliseconds), WithJsonSchema(_DURATION_SCHEMA)]
Percent = Annotated[int, BeforeValidator(_ratio), WithJsonSchema({"type": "string", "pattern": "^(100|[0-9]{1,2})%$"})]
Moment = Annotated[str, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A date and time with its zone (RFC 3339), as text."""
Mode = Annotated[str, BeforeValidator(_mode), WithJsonSchema({"type": "string", "pattern": "^0[0-7]{3}$"})]
