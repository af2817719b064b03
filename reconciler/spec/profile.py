"""Describe a Profile: a reusable kind of sandbox, as data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from reconciler.spec.fields import Document, Fields
from reconciler.spec.leaf import Argv, choice_text
from reconciler.spec.names import Reference, ResourceName

AnyMapping = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]


class ProfileSpec(Fields):
    """Hold the part of a Sandbox spec that its sandboxes share, with gaps that their inputs fill."""

    extends: Reference | None = Field(default=None, description="Another profile, which this one is laid over.")
    inputs: AnyMapping = Field(
        default_factory=dict, description="A JSON Schema (2020-12) of the inputs, with defaults."
    )
    entrypoints: dict[ResourceName, Argv] = Field(
        default_factory=dict, description="Commands by name. No command of this version uses them."
    )
    # Checked as a Sandbox spec once it is merged; here only its keys can be.
    sandbox: AnyMapping = Field(
        default_factory=dict, description="Any part of a Sandbox's spec; `${inputs.NAME}` may stand in it."
    )


class Profile(Document):
    """Declare a profile."""

    kind: Annotated[Literal["Profile"], BeforeValidator(choice_text)]
    spec: ProfileSpec = ProfileSpec()
