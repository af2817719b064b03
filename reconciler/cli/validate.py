"""Check the specs and reach no host."""

from __future__ import annotations

import sys

import msgspec

from reconciler.cli import exits
from reconciler.cli.ground import load_desired_in_full, load_part
from reconciler.cli.options import SPECS, ProblemsForm, ProblemsOutput, Specs
from reconciler.model.problem import SpecInvalid
from reconciler.show import problems
from reconciler.show.words import count


class _Counted(msgspec.Struct):
    """Hold of what the specs come to what is counted; the rest need not be decoded."""

    hosts: dict[str, msgspec.Raw]
    sandboxes: dict[str, msgspec.Raw]
    sourced: tuple[str, ...] = ()


def validate(
    *,
    specs: Specs = SPECS,
    output: ProblemsForm = ProblemsOutput.TEXT,
) -> int:
    """Report every problem of the specs; reach no host.

    Each is one line with file, line, column, what was expected, and a hint.
    """
    try:
        desired = load_part(_Counted, specs)
        if desired.sourced:
            load_desired_in_full(specs)
    except SpecInvalid as error:
        write = {
            ProblemsOutput.TEXT: problems.text,
            ProblemsOutput.JSON: problems.json_lines,
            ProblemsOutput.GITHUB: problems.github,
        }[output]
        stream = sys.stderr if output is ProblemsOutput.TEXT else sys.stdout
        stream.write(write(error.problems))
        return exits.ERROR
    found = f"{count(len(desired.sandboxes), 'sandbox')} on {count(len(desired.hosts), 'host')}"
    sys.stderr.write(f"{specs}: valid. {found}.\n")
    return exits.FINE
