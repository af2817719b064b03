"""Say what a row of the table is: one piece of work, who does it, and what is to be reached."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.sample import Sample

if TYPE_CHECKING:
    from tests.bench.setting import Setting


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Hold one way to do a row's work; `run` does it once and gives its samples: mostly one."""

    name: str
    run: Callable[[], Sample | Sequence[Sample]]
    ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Name a peer that was not measured, and why."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Hold the samples of one contender."""

    name: str
    ours: bool
    samples: tuple[Sample, ...]

    @property
    def wall_s(self) -> float:
        """Give the median."""
        return statistics.median(sample.wall_s for sample in self.samples)

    @property
    def least_s(self) -> float:
        """Give the quickest."""
        return min(sample.wall_s for sample in self.samples)

    @property
    def most_s(self) -> float:
        """Give the slowest, which for up to a hundred samples is the 99th percentile too."""
        return max(sample.wall_s for sample in self.samples)

    @property
    def cpu_s(self) -> float | None:
        """Give the median of the client's CPU time."""
        known = [sample.cpu_s for sample in self.samples if sample.cpu_s is not None]
        return statistics.median(known) if known else None


Results = Mapping[str, Measured]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Say how a goal came out: `reached` is None where what it compares with was not measured."""

    goal: str
    found: str
    reached: bool | None


Goal = Callable[[Results], Verdict]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Describe one piece of work.

    Attributes:
        name: for `--only`.
        work: what is done, in one line; a function of the sizes chosen.
        open: prepares it; what it yields runs in turns.
        goals: what is to be reached.
        turns: how often each contender runs in one round.
        remarks: who does more or less than the others.
    """

    name: str
    work: Callable[["Setting"], str]
    open: Callable[["Setting"], AbstractContextManager[Sequence[Contender | Missing]]]
    goals: tuple[Goal, ...]
    turns: Callable[["Setting"], int] = lambda _: 1
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Played:
    """Hold what became of one row."""

    name: str
    work: str
    measured: tuple[Measured, ...]
    missing: tuple[Missing, ...]
    verdicts: tuple[Verdict, ...]
    remarks: tuple[str, ...]


def times_faster(ours: str, peer: str, *, times: float) -> Goal:
    """Want a peer's median to be this many times ours."""
    return _goal(
        f"{times:g} times faster than {peer}",
        (ours, peer),
        figure=lambda our, their: their.wall_s / our.wall_s,
        shown="{:.1f} times",
        reached=lambda found: found >= times,
    )


def at_most(ours: str, peer: str, *, times: float) -> Goal:
    """Want our median to be at most this many times a peer's."""
    return _goal(
        f"at most {times:g} times {peer}",
        (ours, peer),
        figure=lambda our, their: our.wall_s / their.wall_s,
        shown="{:.2f} times",
        reached=lambda found: found <= times,
    )


def within(ours: str, *, limit_s: float, worst: bool = False) -> Goal:
    """Want our median, or our worst, within so many seconds."""
    return _goal(
        f"{ours}: {'the worst' if worst else 'the median'} within {limit_s:g} s",
        (ours,),
        figure=lambda our: our.most_s if worst else our.wall_s,
        shown="{:.2f} s",
        reached=lambda found_s: found_s <= limit_s,
    )


def above(ours: str, base: str, *, extra_s: float) -> Goal:
    """Want our median within so many seconds above another's."""
    return _goal(
        f"{ours}: within {extra_s:g} s above {base}",
        (ours, base),
        figure=lambda our, other: our.wall_s - other.wall_s,
        shown="{:+.2f} s",
        reached=lambda found_s: found_s <= extra_s,
    )


def linear(small: str, large: str, *, growth: float, slack: float) -> Goal:
    """Want work that is `growth` times as large to cost no more CPU than that, but for some slack."""
    return _goal(
        f"linear: {large} at most {growth * slack:g} times the CPU of {small}",
        (small, large),
        figure=lambda one, other: None if one.cpu_s is None or other.cpu_s is None else other.cpu_s / one.cpu_s,
        shown="{:.1f} times",
        reached=lambda found: found <= growth * slack,
    )


def _goal(
    goal: str,
    names: Sequence[str],
    *,
    figure: Callable[..., float | None],
    shown: str,
    reached: Callable[[float], bool],
) -> Goal:
    """Judge a figure of those that are named, which is None as well where one of them was not measured."""

    def judge(results: Results) -> Verdict:
        known = all(name in results for name in names)
        found = figure(*(results[name] for name in names)) if known else None
        if found is None:
            return Verdict(goal=goal, found="not measured", reached=None)
        return Verdict(goal=goal, found=shown.format(found), reached=reached(found))

    return judge
