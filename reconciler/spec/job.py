"""Describe a Job: a command that runs to completion once per generation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from reconciler.spec.fields import Document, Fields
from reconciler.spec.leaf import Argv, Duration, Whole, choice_text, seconds
from reconciler.spec.names import Reference, ResourceName


class Retries(Fields):
    """Say how often, and after what pause, a failed job is tried again."""

    max: Annotated[int, Whole(0, 100)] = 0
    pause: Duration = seconds("15m")


class JobSpec(Fields):
    """Say what runs where, and for how long."""

    sandbox: Reference
    entrypoint: ResourceName | None = None
    command: Argv = ()
    timeout: Duration | None = None
    retries: Retries = Retries()
    heartbeat: Duration | None = None
    check: Argv | None = Field(default=None, alias="validate")
    concurrency_group: ResourceName | None = None


class Job(Document):
    """Declare a job."""

    kind: Annotated[Literal["Job"], BeforeValidator(choice_text)]
    spec: JobSpec
