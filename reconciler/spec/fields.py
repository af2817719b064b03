"""Hold what every mapping of fields in the language shares."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from reconciler.spec.leaf import Text, choice_text
from reconciler.spec.names import LabelKey, Name


class Fields(BaseModel):
    """Hold a mapping of known fields: camelCase outside, strict, frozen; keys that begin with `x-` are free."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        alias_generator=to_camel,
        populate_by_name=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_free_keys(cls, data: Any) -> Any:
        if isinstance(data, dict) and any(key.startswith("x-") for key in data):
            return {key: value for key, value in data.items() if not key.startswith("x-")}
        return data


class Metadata(Fields):
    """Name an object. Annotations are for people and other programs; they change nothing."""

    name: Name
    labels: dict[LabelKey, Text] = Field(default_factory=dict)
    annotations: dict[LabelKey, Text] = Field(default_factory=dict)


class Document(Fields):
    """Hold what every document begins with."""

    api_version: Annotated[
        Literal["reconciler/v1"], BeforeValidator(choice_text), Field(description="The version of this language.")
    ]
    metadata: Metadata


class Suspension(Fields):
    """Leave an object alone until somebody takes this away again."""

    reason: Text
    by: Text | None = None
    until: Text | None = Field(default=None, description="A date and time (RFC 3339), as text.")
