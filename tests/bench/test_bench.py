from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.bench.play import play
from tests.bench.row import Contender, Goal, Measured, Missing, Played, Row, at_most, linear, times_faster
from tests.bench.rows import ROWS
from tests.bench.sample import Sample, run_process
from tests.bench.setting import TINY, Setting, open_setting
from tests.bench.table import page, text
from tests.lab.missing import LabError


@pytest.fixture(scope="module")
def setting() -> Iterator[Setting]:
    with open_setting(TINY, with_peers=False) as opened:
        yield opened


@pytest.mark.lab
@pytest.mark.parametrize("name", ROWS)
def test_our_side_of_every_row_runs_and_renders(setting: Setting, name: str) -> None:
    played = play(ROWS[name], setting, rounds=1, patience_s=60)
    assert [one.name for one in played.measured if one.ours]
    assert len(played.verdicts) == len(ROWS[name].goals)
    drawn = text([played], machine="a machine")
    assert all(one.name in drawn for one in played.measured)


def a_measured(name: str, *walls_s: float, ours: bool = False) -> Measured:
    return Measured(name=name, ours=ours, samples=tuple(Sample(wall_s=wall_s, cpu_s=wall_s) for wall_s in walls_s))


def a_row(*contenders: Contender, goals: tuple[Goal, ...] = ()) -> Row:
    @contextmanager
    def opened(_: Setting) -> Iterator[Sequence[Contender | Missing]]:
        yield contenders

    return Row(name="x", work=lambda _: "do it", open=opened, goals=goals)


def a_sample() -> Sample:
    return Sample(wall_s=1, cpu_s=1)


def test_contenders_take_turns_and_each_round_begins_with_another(tmp_path: Path) -> None:
    order: list[str] = []

    def named(name: str) -> Contender:
        def run() -> Sample:
            order.append(name)
            return a_sample()

        return Contender(name=name, run=run, ours=True)

    with ExitStack() as stack:
        play(a_row(named("a"), named("b")), Setting(tmp_path, TINY, stack, with_peers=False), rounds=3, patience_s=60)
    assert order == ["a", "b", "b", "a", "a", "b"]


def test_a_peer_that_fails_is_named_and_one_without_patience_left_sits_out(tmp_path: Path) -> None:
    def broken() -> Sample:
        raise LabError("it does not start\nat all")

    row = a_row(Contender(name="we", run=a_sample, ours=True), Contender(name="they", run=broken))
    with ExitStack() as stack:
        setting = Setting(tmp_path, TINY, stack, with_peers=False)
        assert play(row, setting, rounds=3, patience_s=60).missing == (Missing(name="they", why="it does not start"),)
        assert len(play(row, setting, rounds=3, patience_s=60).measured[0].samples) == 3
        assert play(row, setting, rounds=3, patience_s=0).measured == ()


def test_a_failure_of_ours_is_no_figure(tmp_path: Path) -> None:
    def broken() -> Sample:
        raise LabError("ours")

    row = a_row(Contender(name="we", run=broken, ours=True))
    with ExitStack() as stack, pytest.raises(LabError):
        play(row, Setting(tmp_path, TINY, stack, with_peers=False), rounds=1, patience_s=60)


def test_a_command_that_fails_is_no_sample() -> None:
    assert run_process(["sh", "-c", "exit 2"], statuses=(0, 2)).wall_s > 0
    with pytest.raises(LabError, match="ended with 3:\nwhy"):
        run_process(["sh", "-c", "echo why; exit 3"])


def test_ratios_are_of_medians() -> None:
    results = {"we": a_measured("we", 1, 2, 90, ours=True), "they": a_measured("they", 7, 8, 9)}
    assert times_faster("we", "they", times=4)(results).reached is True
    assert times_faster("we", "they", times=4.1)(results).reached is False
    assert at_most("we", "they", times=0.25)(results).reached is True
    assert linear("we", "they", growth=3, slack=1.2)(results).found == "4.0 times"


def test_a_peer_that_was_not_measured_leaves_the_goal_open() -> None:
    assert times_faster("we", "they", times=4)({"we": a_measured("we", 1)}).reached is None


def test_the_page_names_what_was_not_measured() -> None:
    played = Played(
        name="x",
        work="do it",
        measured=(a_measured("we", 1.0, ours=True), a_measured("they", 2.0)),
        missing=(Missing(name="others", why="nobody has it"),),
        verdicts=(),
        remarks=("they do less",),
    )
    written = page([played], machine="2 cores", versions=["they 1.0"])
    assert "| **we** | 1.000 | 1.000..1.000 | 1.000 | 1 | 1 |" in written
    assert "| they | 2.000 | 2.000..2.000 | 2.000 | 1 | 2.00 |" in written
    assert "Not measured: others: nobody has it." in written
    assert "2 cores" in written
