"""Take zero for "at once" where waiting is what a duration is for, and refuse it where nothing could come of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.load.lower import lower
from reconciler.model.desired import Desired
from reconciler.model.status import Statuses
from tests.laws.machines import IMAGES, Machines
from tests.unit.load.bad_specs import FLEET, documents, host, problems, sandbox


def fleet(folder: Path, *, grace: str, **files: str) -> Desired:
    reap = f"spec: {{reap: {{mode: apply, olderThan: 0s, grace: {grace}}}}}\n"
    return lower(documents(folder, fleet=FLEET + reap, h=host(), **files))


@pytest.mark.parametrize(("grace", "passes"), [("0s", 2), ("1h", None)])
def test_an_orphan_goes_with_the_next_apply_where_the_grace_is_none(
    grace: str, passes: int | None, tmp_path: Path
) -> None:
    """Lose the status and the spec, and apply until nothing of the orphan is left, but not for ever."""
    web = sandbox(container=f"image: {IMAGES[0]}\n      stopGrace: 0s")
    machines = Machines("h1")
    machines.settle(fleet(tmp_path, grace=grace, s=web))
    (seen,) = machines.worlds["h1"].containers.values()
    assert seen.spec.stop_grace_s == 0
    machines.statuses = Statuses()
    (tmp_path / "s.yaml").unlink()
    needed = None
    for count in (1, 2, 3):
        machines.apply(fleet(tmp_path, grace=grace))
        if needed is None and not machines.worlds["h1"].containers:
            needed = count
    assert needed == passes


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("ttl: 0s", "E_RANGE"),
        ("readiness: {up: {health: {container: main}, timeout: 0s}}", "E_RANGE"),
        ("readiness: {up: {health: {container: main}, interval: 0s}}", "E_RANGE"),
    ],
)
def test_a_zero_that_means_nothing_is_refused(rest: str, code: str, tmp_path: Path) -> None:
    found = problems(tmp_path, h=host(), s=sandbox(rest=f"  {rest}\n"))
    assert [problem.code for problem in found] == [code]


@pytest.mark.parametrize(
    ("written", "code", "hint"),
    [
        ('"0"', "E_UNIT", "write it with a unit"),
        ("-1s", "E_RANGE", "from 0s to 366d"),
        ('"-1"', "E_RANGE", "write it with a unit"),
        ("500ms", "E_UNIT", "write 1s or more"),
        ("367d", "E_RANGE", "from 0s to 366d"),
    ],
)
def test_what_is_no_duration_is_refused_also_where_zero_is_one(
    written: str, code: str, hint: str, tmp_path: Path
) -> None:
    (found,) = problems(tmp_path, fleet=f"{FLEET}spec: {{reap: {{grace: {written}}}}}\n", h=host(), s=sandbox())
    assert found.code == code
    assert hint in (found.hint or "")
