"""Print: documents on stdout, everything that is said to a person besides on stderr."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable

import msgspec

from reconciler.cli.options import HostOutput
from reconciler.cli.streams import check_output
from reconciler.errors import ReconcilerError
from reconciler.model.problem import SpecInvalid
from reconciler.show.errors_text import error_text
from reconciler.show.escape import shown
from reconciler.show.page import Page, coloured, plain, wrapped

_WIDTH_MAX = 140


def say(text: str) -> None:
    """Print one line for people on stderr, whatever it holds made harmless."""
    sys.stderr.write(shown(text) + "\n")


def warn(warnings: Iterable[str]) -> None:
    """Say what is wrong with the records, one line each."""
    for warning in warnings:
        say(f"warning: {warning}")


def complain(error: ReconcilerError) -> int:
    """Print an error and its hint; give the exit status."""
    if isinstance(error, SpecInvalid):
        from reconciler.show import problems

        style = "github" if os.environ.get("GITHUB_ACTIONS") == "true" else "text"
        sys.stderr.write(problems.github(error.problems) if style == "github" else problems.text(error.problems))
        return error.exit_status
    sys.stderr.write(error_text(error.message, code=error.code, hint=error.hint))
    return error.exit_status


def stream_failure(error: ReconcilerError) -> None:
    """Write why a command stopped into its `--json` stream: one diagnostic for each problem of the specs, or one."""
    from reconciler.cli.clock import SystemClock
    from reconciler.show import stream

    stamp = stream.Stamp(SystemClock().now(), "")
    if isinstance(error, SpecInvalid):
        messages = [stream.diagnostic(stamp, problem) for problem in error.problems]
    else:
        messages = [stream.failure(stamp, error.message, code=error.code, hint=error.hint)]
    sys.stdout.write("".join(stream.json_line(message) for message in messages))
    sys.stdout.flush()


def show(page: Page) -> None:
    """Print a page, in colour where stdout is a terminal that wants it.

    Raises:
        OutputLost: it cannot be written: nobody may be asked about it, and nothing done that it announces.
    """
    columns = terminal_width()
    fitted = page if columns is None else wrapped(page, width=columns)
    if columns is None or os.environ.get("NO_COLOR"):
        sys.stdout.write(plain(fitted))
    else:
        from rich.console import Console

        Console(width=columns, highlight=False).print(coloured(fitted), end="")
    check_output()


def answer(output: HostOutput, told: object, page: Callable[[], Page]) -> None:
    """Print what is told of hosts in the form that was asked for: as a document, or laid out for people."""
    from reconciler.show.yaml_text import yaml_text

    match output:
        case HostOutput.JSON:
            document(msgspec.json.format(msgspec.json.encode(told), indent=2))
        case HostOutput.YAML:
            document(yaml_text(told))
        case HostOutput.TABLE:
            show(page())


def document(text: str | bytes) -> None:
    """Print a document for programs, ended by a line break; an empty one is nothing at all."""
    data = text.encode() if isinstance(text, str) else text
    sys.stdout.buffer.write(data if data.endswith(b"\n") or not data else data + b"\n")
    sys.stdout.flush()


def width() -> int:
    """Tell how many columns there are."""
    return min(shutil.get_terminal_size((100, 24)).columns, _WIDTH_MAX)


def terminal_width() -> int | None:
    """Tell how many columns stdout has, or None where it is no terminal and lines may be of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def is_interactive() -> bool:
    """Tell whether a person can be asked: both ends are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()
