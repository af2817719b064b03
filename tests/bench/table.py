"""Put what was measured into one table: for a terminal, and as the page of the documentation."""

import textwrap
from collections.abc import Iterable, Sequence

from tests.bench.row import Measured, Played, Verdict

_REACHED = {True: "reached", False: "MISSED", None: "unknown"}
_WIDTH = 116
_HEAD = ("", "median s", "min..max s", "CPU s", "n", "to ours")


def text(rows: Iterable[Played], *, machine: str) -> str:
    """Draw the table for a terminal; the last column is a median over that of the row's first contender of ours."""
    lines = [machine, ""]
    for row in rows:
        lines += [f"== {row.name}: {row.work}", *_drawn([_HEAD, *_cells(row)])]
        lines += [f"   not measured: {gone.name}: {gone.why}" for gone in row.missing]
        lines += [f"   {_REACHED[one.reached]}: {one.goal}: {one.found}" for one in row.verdicts]
        lines += [f"   note: {remark}" for remark in row.remarks]
        lines.append("")
    return "\n".join(lines)


def page(rows: Sequence[Played], *, machine: str, versions: Sequence[str]) -> str:
    """Write the page `docs/reference/benchmarks.md`."""
    parts = [_INTRODUCTION, _wrapped(f"Measured on one machine that is client and hosts at once: {machine}.") + "\n"]
    if versions:
        parts.append(_wrapped(f"Peers: {', '.join(versions)}.") + "\n")
    for row in rows:
        parts.append(f"## {row.work[:1].upper()}{row.work[1:]}\n")
        head = ("Who", *_HEAD[1:])
        table = [head, tuple("---" for _ in head), *_cells(row)]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in table) + "\n")
        notes = [f"- {_goal(one)}" for one in row.verdicts]
        notes += [f"- Not measured: {gone.name}: {gone.why}." for gone in row.missing]
        notes += [f"- {remark}" for remark in row.remarks]
        parts.append("\n".join(_wrapped(note) for note in notes) + "\n")
    return "\n".join(parts)


def _wrapped(line: str) -> str:
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _goal(one: Verdict) -> str:
    return f"Goal {_REACHED[one.reached].lower()}: {one.goal}; it was {one.found}."


def _cells(row: Played) -> list[tuple[str, ...]]:
    base = next((one for one in row.measured if one.ours), None)
    return [_line(one, base) for one in row.measured]


def _line(one: Measured, base: Measured | None) -> tuple[str, ...]:
    ratio = "" if base is None else "1" if one is base else f"{one.wall_s / base.wall_s:.2f}"
    cpu = "" if one.cpu_s is None else f"{one.cpu_s:.3f}"
    name = f"**{one.name}**" if one.ours else one.name
    spread = f"{one.least_s:.3f}..{one.most_s:.3f}"
    return (name, f"{one.wall_s:.3f}", spread, cpu, str(len(one.samples)), ratio)


def _drawn(lines: Sequence[tuple[str, ...]]) -> list[str]:
    plain = [tuple(cell.replace("**", "") for cell in line) for line in lines]
    widths = [max(len(line[column]) for line in plain) for column in range(len(_HEAD))]
    drawn = []
    for line in plain:
        rest = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        drawn.append(f"   {line[0].ljust(widths[0])}  {'  '.join(rest)}")
    return drawn


_INTRODUCTION = """# Benchmarks

What the reconciler costs, beside what people would use instead. `make bench` measures it anew: peers are fetched
into `~/.cache/reconciler-bench`, everybody works on the same throw-away hosts (real sshd and dockerd), and contenders
take turns, so that what disturbs the machine disturbs all of them. `python -m tests.bench --write` replaces this page.

Seconds are of one machine and one hour: compare within a table. *CPU s* is user and system time of the client with
its children, and is sturdier than wall time, which here includes what sshd and dockerd do on the same cores. *n*
counts samples: whoever takes long sits out later rounds. *To ours* is a median over that of the first of ours (bold).
"""
