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

    def judge(results: Results) -> Verdict:
        goal = f"{times:g} times faster than {peer}"
        if ours not in results or peer not in results:
            return _unknown(goal)
        found = results[peer].wall_s / results[ours].wall_s
        return Verdict(goal=goal, found=f"{found:.1f} times", reached=found >= times)

    return judge


def at_most(ours: str, peer: str, *, times: float) -> Goal:
    """Want our median to be at most this many times a peer's."""

    def judge(results: Results) -> Verdict:
        goal = f"at most {times:g} times {peer}"
        if ours not in results or peer not in results:
            return _unknown(goal)
        found = results[ours].wall_s / results[peer].wall_s
        return Verdict(goal=goal, found=f"{found:.2f} times", reached=found <= times)

    return judge


def within(ours: str, *, limit_s: float, worst: bool = False) -> Goal:
    """Want our median, or our worst, within so many seconds."""

    def judge(results: Results) -> Verdict:
        goal = f"{ours}: {'the worst' if worst else 'the median'} within {limit_s:g} s"
        if ours not in results:
            return _unknown(goal)
        found_s = results[ours].most_s if worst else results[ours].wall_s
        return Verdict(goal=goal, found=f"{found_s:.2f} s", reached=found_s <= limit_s)

    return judge


def above(ours: str, base: str, *, extra_s: float) -> Goal:
    """Want our median within so many seconds above another's."""

    def judge(results: Results) -> Verdict:
        goal = f"{ours}: within {extra_s:g} s above {base}"
        if ours not in results or base not in results:
            return _unknown(goal)
        found_s = results[ours].wall_s - results[base].wall_s
        return Verdict(goal=goal, found=f"{found_s:+.2f} s", reached=found_s <= extra_s)

    return judge


def linear(small: str, large: str, *, growth: float, slack: float) -> Goal:
    """Want work that is `growth` times as large to cost no more CPU than that, but for some slack."""

    def judge(results: Results) -> Verdict:
        goal = f"linear: {large} at most {growth * slack:g} times the CPU of {small}"
        cpus = [results[name].cpu_s if name in results else None for name in (small, large)]
        if cpus[0] is None or cpus[1] is None:
            return _unknown(goal)
        found = cpus[1] / cpus[0]
        return Verdict(goal=goal, found=f"{found:.1f} times", reached=found <= growth * slack)

    return judge


def _unknown(goal: str) -> Verdict:
    return Verdict(goal=goal, found="not measured", reached=None)
