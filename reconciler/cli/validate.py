"""Check the specs and reach no host."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from reconciler.cli import exits
from reconciler.cli.ground import load_desired
from reconciler.cli.options import SPECS, ProblemsAs, Specs
from reconciler.model.problem import SpecInvalid
from reconciler.show import problems
from reconciler.show.words import count


def validate(
    *,
    specs: Specs = SPECS,
    output: Annotated[ProblemsAs, typer.Option("--output", "-o", help="Form of the problems.")] = ProblemsAs.TEXT,
) -> int:
    """Report every problem of the specs; reach no host.

    Each is one line with file, line, column, what was expected, and a hint.
    """
    try:
        desired = load_desired(specs)
    except SpecInvalid as error:
        write = {
            ProblemsAs.TEXT: problems.text,
            ProblemsAs.JSON: problems.json_lines,
            ProblemsAs.GITHUB: problems.github,
        }[output]
        stream = sys.stderr if output is ProblemsAs.TEXT else sys.stdout
        stream.write(write(error.problems))
        return exits.ERROR
    found = f"{count(len(desired.sandboxes), 'sandbox')} on {count(len(desired.hosts), 'host')}"
    sys.stderr.write(f"{specs}: valid. {found}.\n")
    return exits.FINE
