"""Run the bench: `python -m tests.bench [--rounds N] [--only ROW] [--write]`."""

import argparse
import sys
from pathlib import Path

from tests.bench.machine import machine
from tests.bench.peers import Peers
from tests.bench.play import play, say
from tests.bench.rows import ROWS
from tests.bench.setting import CHECKOUT, TINY, Sizes, open_setting
from tests.bench.table import page, text
from tests.lab.missing import LabError

PAGE = CHECKOUT / "docs/reference/benchmarks.md"


def main() -> int:
    """Read the command line, measure, print, and return the exit code: 0, or 1 with one line that says why."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs (5)")
    parser.add_argument(
        "--patience", type=float, default=25, metavar="S", help="a contender that used so many seconds sits out (25)"
    )
    parser.add_argument("--only", action="append", choices=sorted(ROWS), help="measure this row alone; repeatable")
    parser.add_argument("--hosts", type=int, default=Sizes().hosts, help="real hosts to start (8)")
    parser.add_argument("--without-peers", action="store_true", help="measure ours alone, and fetch nothing")
    parser.add_argument("--tiny", action="store_true", help="the smallest sizes: whether it works, not how fast")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(CHECKOUT)}")
    asked = parser.parse_args()
    if asked.write and (asked.only or asked.tiny or asked.without_peers):
        parser.error("--write is for a whole run")
    sizes = TINY if asked.tiny else Sizes(hosts=asked.hosts)
    where = machine()
    try:
        with open_setting(sizes, with_peers=not asked.without_peers) as setting:
            played = [
                play(ROWS[name], setting, rounds=asked.rounds, patience_s=asked.patience) for name in asked.only or ROWS
            ]
            versions = _versions(setting.peers) if setting.peers.wanted else []
    except LabError as broken:
        say(f"bench: {broken}")
        return 1
    print(text(played, machine=where))
    if asked.write:
        Path(PAGE).write_text(page(played, machine=where, versions=versions))
        say(f"wrote {PAGE.relative_to(CHECKOUT)}")
    return 0


def _versions(peers: Peers) -> list[str]:
    return [
        peers.ssh.version,
        f"ansible-core {peers.ansible.version} with community.docker",
        f"pyinfra {peers.pyinfra.version}",
        peers.docker.version,
        peers.compose_v2.version,
        f"docker-compose {peers.compose_v1.version}",
    ]


if __name__ == "__main__":
    sys.exit(main())
