"""Validate a large spec folder: with nothing remembered, and with nothing changed."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.bench.row import Contender, Missing, Row, within
from tests.bench.sample import Sample, run_process
from tests.bench.setting import Setting
from tests.bench.specs import write_fleet
from tests.e2e.driver import command

COLD, CACHED, RUAMEL = "reconcile validate, cold", "reconcile validate, unchanged", "ruamel.yaml, round trip"
_ROUND_TRIP = """
import pathlib, sys
from ruamel.yaml import YAML
yaml = YAML(typ="rt")
for path in pathlib.Path(sys.argv[1]).glob("*.yaml"):
    list(yaml.load_all(path.read_text()))
"""


@contextmanager
def _open(setting: Setting) -> Iterator[Sequence[Contender | Missing]]:
    room = setting.room("validate")
    specs = room / "specs"
    write_fleet(specs, setting.sizes.specs)
    argv = [*command(), "validate", "--specs", str(specs)]
    kept = setting.env(room / "kept")

    def cold() -> Sample:
        sample = run_process(argv, env=setting.env(room / "new"))
        shutil.rmtree(room / "new", ignore_errors=True)  # there is none where nothing was remembered
        return sample

    def cached() -> Sample:
        return run_process(argv, env=kept)

    cached()  # fills the cache
    ruamel = [sys.executable, "-c", _ROUND_TRIP, str(specs)]
    yield [
        Contender(name=COLD, ours=True, run=cold),
        Contender(name=CACHED, ours=True, run=cached),
        *([Contender(name=RUAMEL, run=lambda: run_process(ruamel))] if setting.peers.wanted else []),
    ]


VALIDATE = Row(
    name="validate",
    work=lambda setting: f"validate {setting.sizes.specs:,} specs, one file each",
    open=_open,
    goals=(within(CACHED, limit_s=0.3), within(COLD, limit_s=5.0)),
    remarks=("ruamel.yaml only parses; ours merges profiles, types every field, and checks across objects.",),
)
