"""Write problems for people, for programs and for the annotations of a CI run."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from reconciler.model.problem import Problem


def text(problems: Iterable[Problem]) -> str:
    """Write one line for each problem, `CODE place field: message`, its hint below it, and the count at the end."""
    lines = []
    count = 0
    for problem in problems:
        count += 1
        field = f" {problem.field}" if problem.field else ""
        lines.append(f"{problem.code} {_place(problem)}{field}: {problem.message}")
        if problem.hint:
            lines.append(f"  hint: {problem.hint}")
    lines.append(f"{count} problem{'s' if count != 1 else ''}")
    return "\n".join(lines) + "\n"


def json_lines(problems: Iterable[Problem]) -> str:
    """Write one JSON object a line: `code`, `file`, `line`, `col` (0 for a whole file), `field`, `message`, `hint`."""
    lines = []
    for problem in problems:
        place = {"file": problem.at.file, "line": problem.at.line, "col": problem.at.col}
        said = {"field": problem.field, "message": problem.message, "hint": problem.hint}
        lines.append(msgspec.json.encode({"code": problem.code, **place, **said}).decode())
    return "".join(f"{line}\n" for line in lines)


def github(problems: Iterable[Problem]) -> str:
    """Write workflow commands that show each problem beside its line in a review."""
    lines = []
    for problem in problems:
        place = f"file={_property(problem.at.file)}"
        if problem.at.line:
            place += f",line={problem.at.line},col={problem.at.col}"
        hint = f"\nhint: {problem.hint}" if problem.hint else ""
        field = f"{problem.field}: " if problem.field else ""
        lines.append(f"::error {place},title={_property(problem.code)}::{_data(field + problem.message + hint)}")
    return "".join(f"{line}\n" for line in lines)


def _place(problem: Problem) -> str:
    return str(problem.at) if problem.at.line else problem.at.file


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
