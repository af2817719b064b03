"""Plan large fleets in memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from reconciler.plan import plan
from tests.bench.fleets import Fleet, settled_fleet
from tests.bench.peers import NOT_HERE
from tests.bench.row import Contender, Missing, Row, linear, within
from tests.bench.sample import Sample, here
from tests.bench.setting import Setting
from tests.lab.missing import LabError


def _name(sandboxes: int) -> str:
    return f"plan, {sandboxes:,} sandboxes"


@contextmanager
def _open(setting: Setting) -> Iterator[Sequence[Contender | Missing]]:
    yield [*(_contender(size) for size in setting.sizes.plans), *(NOT_HERE if setting.peers.wanted else ())]


def _contender(size: int) -> Contender:
    fleet = settled_fleet(size)
    return Contender(name=_name(size), ours=True, run=lambda: _plan(fleet))


def _plan(fleet: Fleet) -> Sample:
    made = []
    sample = here(lambda: made.append(plan(fleet.desired, fleet.observed, fleet.records, fleet.request)))
    if len(made[0].matched) != len(fleet.desired.sandboxes):
        raise LabError(f"the planner found something to do: {made[0].summary}")
    return sample


PLAN = Row(
    name="plan",
    work=lambda setting: f"plan {setting.sizes.plans[-1]:,} sandboxes on a tenth as many hosts, nothing to do",
    open=_open,
    goals=(
        within(_name(10_000), limit_s=1.0),
        linear(_name(1_000), _name(10_000), growth=10, slack=1.3),
    ),
    remarks=("Each sandbox has a container, a directory and a file; nothing is read from disk or network.",),
)
