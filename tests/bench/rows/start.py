"""Start the command and show its help."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.bench.row import Contender, Missing, Row, within
from tests.bench.sample import run_process
from tests.bench.setting import Setting
from tests.e2e.driver import command

OURS, BARE = "reconcile --help", "python -c pass"


@contextmanager
def _open(setting: Setting) -> Iterator[Sequence[Contender | Missing]]:
    env = setting.env(setting.room("start"))
    ways = {OURS: [*command(), "--help"], BARE: [sys.executable, "-c", "pass"]}
    if setting.peers.wanted:
        ways |= {
            "compose v2 --help": [*setting.peers.compose_v2.argv, "--help"],
            "pyinfra --help": [*setting.peers.pyinfra.argv, "--help"],
            "ansible --help": [setting.peers.ansible.program("ansible"), "--help"],
        }
    yield [_way(name, argv, env) for name, argv in ways.items()]


def _way(name: str, argv: list[str], env: dict[str, str]) -> Contender:
    return Contender(name=name, ours=name == OURS, run=lambda: run_process(argv, env=env))


START = Row(
    name="start",
    work=lambda _: "show the help",
    open=_open,
    goals=(within(OURS, limit_s=0.3),),
)
