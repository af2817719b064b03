"""Hold what every mapping of fields in the language shares."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from reconciler.spec.leaf import Moment, Text, choice_text
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

    name: Name = Field(description="2 to 40 lower-case letters, digits and `-`; unique for its kind in the fleet.")
    labels: dict[LabelKey, Text] = Field(
        default_factory=dict, description="For selecting: `--on pool=gpu` names hosts by their labels."
    )
    annotations: dict[LabelKey, Text] = Field(
        default_factory=dict, description="For people and other programs; they change nothing."
    )


class Document(Fields):
    """Hold what every document begins with."""

    api_version: Annotated[
        Literal["reconciler/v1"], BeforeValidator(choice_text), Field(description="The version of this language.")
    ]
    metadata: Metadata


class Suspension(Fields):
    """Leave an object alone until somebody takes this away again."""

    reason: Text = Field(description="Why; it is shown wherever the object is held back.")
    by: Text | None = Field(default=None, description="Who asked for it.")
    until: Moment | None = Field(
        default=None, description="When it ends by itself: a date and time with its zone (RFC 3339), quoted."
    )
