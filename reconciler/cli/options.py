"""Name the options that commands share, once."""

from __future__ import annotations

import enum
import math
from pathlib import Path
from typing import Annotated

import typer


class Output(enum.StrEnum):
    """Forms of a document about sandboxes."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class HostOutput(enum.StrEnum):
    """Forms of a document about hosts, which is always told in full."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class ProblemsOutput(enum.StrEnum):
    """Forms of a list of problems."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def folder(text: str | Path) -> Path:
    """Take the name of a folder; an empty one, as of an unset variable, is none and not the current folder."""
    if not str(text):
        raise typer.BadParameter("it is empty, and no folder has that name")
    return Path(text)


def file(text: str | Path) -> Path:
    """Take the name of a file to write."""
    if not Path(text).name:
        raise typer.BadParameter(f"{str(text)!r} cannot be the name of a file")
    return Path(text)


def seconds(text: str | float) -> float:
    """Take a number of seconds; `nan` and `inf` are none, for nobody would ever have waited that long."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise typer.BadParameter(f"{str(text)!r} is no number of seconds, 0 or more")
    return value


def whole_number(text: str | int) -> int:
    """Take a whole number, 0 or more."""
    if not str(text).isdecimal() or not str(text).isascii():
        raise typer.BadParameter(f"{str(text)!r} is no whole number, 0 or more")
    return int(text)


def span_s(text: str | int) -> int:
    """Take a span of time as the specs write it, `24h`, or a bare `0`; give seconds."""
    from reconciler.spec.leaf import read_milliseconds

    if text in (0, "0"):
        return 0
    try:
        span_ms = text * 1000 if isinstance(text, int) else read_milliseconds(text, or_zero=True)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no span of time, such as 24h, 30m or 0") from None
    if span_ms % 1000:
        raise typer.BadParameter(f"{text!r}: whole seconds are wanted here, such as 1s")
    return span_ms // 1000


_FORM = typer.Option("--output", "-o", help="Write it in this form.")

Specs = Annotated[Path, typer.Option("--specs", metavar="DIR", parser=folder, help="Find the specs in this folder.")]
Status = Annotated[
    Path, typer.Option("--status", metavar="DIR", parser=folder, help="Find the status files in this folder.")
]
OutputForm = Annotated[Output, _FORM]
HostForm = Annotated[HostOutput, _FORM]
ProblemsForm = Annotated[ProblemsOutput, _FORM]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line as things happen.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Sandboxes; all when none is named.")]
On = Annotated[
    list[str] | None,
    typer.Option(
        "--on", metavar="SELECTOR", help="Stay on hosts of this name, or label such as pool=gpu. May be repeated."
    ),
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="NAME", help="Leave this sandbox out. May be repeated.")
]
AllowDestroy = Annotated[
    int | None,
    typer.Option(
        "--allow-destroy",
        metavar="N",
        parser=whole_number,
        help="Allow exactly N removals, whatever the budget says.",
    ),
]
AcceptRevision = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-revision",
        metavar="COMMIT",
        help="Act on what this commit made although the checkout does not contain it: after a squash or a forced push. "
        "May be repeated.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
LockTimeout = Annotated[
    float,
    typer.Option("--lock-timeout", metavar="SECONDS", parser=seconds, help="Wait this long for another pass to end."),
]

SPECS = Path("specs")
STATUS = Path("status")
