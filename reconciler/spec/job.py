"""Describe a Job: a command that runs to completion once per generation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from reconciler.spec.fields import Document, Fields
from reconciler.spec.leaf import Argv, Duration, DurationOrZero, Whole, choice_text, seconds
from reconciler.spec.names import Reference, ResourceName


class Retries(Fields):
    """Say how often, and after what pause, a failed job is tried again."""

    max: Annotated[int, Whole(0, 100)] = Field(default=0, description="Further tries after the first.")
    pause: Annotated[DurationOrZero, Field(description="From one try to the next.")] = seconds("15m")


class JobSpec(Fields):
    """Say what runs where, and for how long."""

    sandbox: Reference = Field(description="The sandbox it runs in.")
    entrypoint: ResourceName | None = Field(default=None, description="An entrypoint of the sandbox's profile.")
    command: Argv = Field(default=(), description="The command, or what follows the entrypoint.")
    timeout: Duration | None = Field(default=None, description="How long it may run.")
    retries: Retries = Retries()
    heartbeat: Duration | None = Field(default=None, description="Silence that counts as a hang.")
    check: Argv | None = Field(
        default=None, alias="validate", description="A command that says whether the result is good."
    )
    concurrency_group: ResourceName | None = Field(
        default=None, description="Jobs of one group run one after the other."
    )


class Job(Document):
    """Declare a job."""

    kind: Annotated[Literal["Job"], BeforeValidator(choice_text)]
    spec: JobSpec
