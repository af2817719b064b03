"""Define the types of what a telemetry sink is told, and which type of sink has which field."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, PlainValidator, ValidationInfo, WithJsonSchema

from reconciler.model.nearest import nearest
from reconciler.model.text import Template
from reconciler.spec.refusal import refuse, text_of, with_gaps

OWN_TYPES: Final = ("file", "stateHub", "prometheus")
"""Every other type is the name of an entry point, which another package brings."""

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # it names a folder of ours as well
_PATH: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,1024}")
_SECRET_KEY: Final = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|api[_-]?key|private[_-]?key|credential", re.IGNORECASE
)


def sink_type(value: object) -> str:
    """Read the type of a sink; what is nearly one of ours is taken for a slip."""
    text = _word(value, wanted="a type of sink")
    near = next((own for own in OWN_TYPES if _bare(own) == _bare(text)), None) or nearest(text, OWN_TYPES, likeness=0.8)
    if text not in OWN_TYPES and near is not None:
        hint = f"did you mean {near}? An entry point needs a name that is less like it"
        raise refuse("E_VALUE", "{got} is no type of sink", got=value, hint=hint)
    return text


def sink_name(value: object) -> str:
    """Read the name of a sink."""
    return _word(value, wanted="a name of a sink")


def of_types(own: str | None, *, required: bool = False) -> BeforeValidator:
    """Refuse a field where the sink is not of this type of ours, or, for None, where it is of one of ours."""

    def check(value: object, info: ValidationInfo) -> object:
        kind = info.data.get("type")
        fits = kind == own if own is not None else kind not in OWN_TYPES
        if value is None:
            if kind is not None and fits and required:
                raise refuse("E_REQUIRED", f"a sink of type {own} needs {info.field_name}")
            return value
        if kind is not None and not fits:
            whose = f"is for type {own}" if own is not None else "are for sinks of other packages"
            message = f"{info.field_name} {whose}, and this sink is of type {kind}"
            raise refuse("E_CONFLICT", message, hint="take one of the two away")
        return value

    return BeforeValidator(check)


def in_private(token: Template | None, info: ValidationInfo) -> Template | None:
    """Refuse a token that everybody on its way could read."""
    url = info.data.get("url")
    if token is not None and url is not None and urlsplit(url).scheme == "http" and not _stays_here(url):
        message = "the token would cross the network in plain text, since the url begins with http://"
        raise refuse("E_URL", message, hint="write https://, or take the token away; on this machine http:// is fine")
    return token


def without_literals(options: dict[str, str | Template]) -> dict[str, str | Template]:
    """Refuse an option that is a secret by its name, and written out."""
    for name, value in options.items():
        if isinstance(value, str) and value and _SECRET_KEY.search(name):
            hint = 'declare it in the Fleet (spec.secrets) and write "${secret:NAME}"'
            message = "the option {got} is a secret by its name, and written out for everyone who may read the specs"
            raise refuse("E_SECRET_LITERAL", message, got=name, hint=hint)
    return options


def _word(value: object, *, wanted: str) -> str:
    text = text_of(value, wanted=wanted)
    if _WORD.fullmatch(text) is None:
        raise refuse("E_NAME", f"{{got}} is no {wanted[2:]}: up to 64 letters, digits, '_' and '-'", got=value)
    return text


def _bare(text: str) -> str:
    return text.replace("_", "").replace("-", "").lower()


def _stays_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url_path(value: object) -> str:
    text = text_of(value, wanted="a path")
    if _PATH.fullmatch(text) is None:
        raise refuse("E_URL", "{got} is no path of a URL", got=text, hint="write it as a URL has it, such as progress/")
    return text


def _option(value: object) -> str | Template:
    text = value if isinstance(value, Template) else with_gaps(text_of(value, late=True))
    if isinstance(text, Template) and len(text.parts) > 1:
        message = "an option is text, or a reference to one secret and nothing else"
        raise refuse("E_INTERPOLATION", message, hint="keep all of it in the secret")
    return text


UrlPath = Annotated[str, BeforeValidator(_url_path), WithJsonSchema({"type": "string"})]
SinkOption = Annotated[str | Template, PlainValidator(_option), WithJsonSchema({"type": "string"})]
"""Text, or a reference to one secret and nothing else."""
