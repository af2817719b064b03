"""Describe how a sandbox shows that it is ready. Every probe asks one of its own containers."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.model.pattern import PatternRefused, compile_pattern
from reconciler.model.text import printable
from reconciler.spec.fields import Fields
from reconciler.spec.leaf import Argv, Duration, seconds
from reconciler.spec.names import Reference
from reconciler.spec.refusal import refuse, text_of
from reconciler.spec.scalar import Scalar

_PATTERN_LENGTH_MAX: Final = 256
_STATUS: Final = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


def _status(value: object) -> tuple[int, int]:
    text = value.text if isinstance(value, Scalar) else text_of(value)
    match = _STATUS.fullmatch(text)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise refuse("E_PROBE", "{got} is no status or range of them", got=text, hint="write 200, or 200-399")
    return int(match[1]), int(match[2] or match[1])


def _path(value: object) -> str:
    text = text_of(value, wanted="a path")
    if re.fullmatch(r"/[!-~]{0,1023}", text) is None or text.startswith("//"):
        message = "{got} is no path to ask for; the probe goes to the container itself"
        raise refuse("E_PROBE", message, got=text, hint="write a path that begins with one /")
    return text


def _pattern(value: object) -> str:
    text = text_of(value, wanted="a regular expression")
    if not 0 < len(text) <= _PATTERN_LENGTH_MAX:
        raise refuse("E_PROBE", f"a pattern has 1 to {_PATTERN_LENGTH_MAX} characters")
    try:
        compile_pattern(text)
    except PatternRefused as refused:
        message = f"{{got}} is no regular expression: {printable(str(refused))}"
        hint = r"it is RE2's language: without look-around and back references, and the end of the text is \z"
        raise refuse("E_PROBE", message, got=text, hint=hint) from None
    return text


StatusRange = Annotated[
    tuple[int, int],
    BeforeValidator(_status),
    WithJsonSchema({"type": ["integer", "string"], "pattern": f"^{_STATUS.pattern}$"}),
]


class HttpProbe(Fields):
    """Ask over HTTP."""

    container: Reference = Field(description="Which container of the sandbox is asked.")
    port: Reference = Field(description="The name of one of the container's ports.")
    path: Annotated[str, BeforeValidator(_path)] = Field(default="/", description="What to ask for.")
    status: StatusRange = Field(
        default=(200, 399),
        json_schema_extra={"default": "200-399"},
        description="The status that is ready, or a range.",
    )


class TcpProbe(Fields):
    """Open a connection."""

    container: Reference = Field(description="Which container of the sandbox is asked.")
    port: Reference = Field(description="The name of one of the container's ports.")


class ExecProbe(Fields):
    """Run a command in the container; 0 is ready."""

    container: Reference = Field(description="Which container of the sandbox is asked.")
    command: Argv = Field(description="The command.")


class LogProbe(Fields):
    """Look for a line in what the container wrote in this run."""

    container: Reference = Field(description="Which container of the sandbox is asked.")
    pattern: Annotated[str, BeforeValidator(_pattern)] = Field(
        description="A regular expression (RE2), found anywhere in one of the last 2000 lines."
    )


class HealthProbe(Fields):
    """Take Docker's own word (healthcheck)."""

    container: Reference = Field(description="Which container of the sandbox is asked.")


class Probe(Fields):
    """Ask in exactly one way, every `interval`, until `timeout`."""

    http: HttpProbe | None = None
    tcp: TcpProbe | None = None
    exec: ExecProbe | None = None
    log: LogProbe | None = None
    health: HealthProbe | None = None
    timeout: Annotated[Duration, Field(description="Not ready after this: the change has failed.")] = seconds("60s")
    interval: Annotated[Duration, Field(description="The longest pause from one question to the next.")] = seconds("1s")

    @property
    def way(self) -> HttpProbe | TcpProbe | ExecProbe | LogProbe | HealthProbe:
        """Give the one that is set."""
        ways = [way for way in (self.http, self.tcp, self.exec, self.log, self.health) if way is not None]
        return ways[0]

    @model_validator(mode="after")
    def _one_way(self) -> Probe:
        if sum(way is not None for way in (self.http, self.tcp, self.exec, self.log, self.health)) != 1:
            raise refuse("E_ONE_OF", "exactly one of http, tcp, exec, log and health is wanted here")
        return self
