"""Run a lab by hand: `python -m tests.lab up|down|status DIR`. Answers are JSON on standard output."""

import argparse
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.missing import LabError
from tests.lab.packages import GENERATIONS
from tests.lab.record import recorded


def up(lab: Path, *, count: int, options: HostOptions) -> list[LabHost]:
    """Start hosts `h1`, `h2`, … that stay when this process ends. Raises the first error after a clean-up."""
    names = [f"h{index}" for index in range(1, count + 1)]
    with ThreadPoolExecutor(4) as starters:
        starts = [starters.submit(LabHost.start, lab, name, options) for name in names]
    errors = [error for start in starts if (error := start.exception()) is not None]
    hosts = [start.result() for start in starts if start.exception() is None]
    if errors:
        for host in hosts:
            host.stop()
        raise errors[0]
    return hosts


def down(lab: Path) -> list[str]:
    """Stop every host of a lab, remove the lab's folder if nothing else is in it; return the hosts' names."""
    names = [facts.name for facts in recorded(lab)]
    for facts in recorded(lab):
        LabHost.attach(lab, facts).stop()
    for file in ("lab.json", "lab.lock"):
        (lab / file).unlink(missing_ok=True)
    if not any(lab.iterdir()):
        shutil.rmtree(lab)
    return names


def main() -> int:
    """Read the command line, do it, and return the exit code: 0, or 1 with one line that says why."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start hosts and leave them running")
    start.add_argument("--hosts", type=int, default=2)
    start.add_argument("--engine", choices=GENERATIONS, default=None)
    start.add_argument("--own-network", action="store_true", help="give each host a network of its own")
    for command in (start, commands.add_parser("down", help="stop them"), commands.add_parser("status")):
        command.add_argument("dir", type=Path)
    asked = parser.parse_args()
    lab: Path = asked.dir.absolute()
    try:
        if asked.command == "up":
            options = HostOptions(generation=asked.engine, own_network=asked.own_network, tied=False)
            answer: object = [host.describe() for host in up(lab, count=asked.hosts, options=options)]
        elif asked.command == "down":
            answer = {"stopped": down(lab)}
        else:
            answer = [LabHost.attach(lab, facts).describe() for facts in recorded(lab)]
    except LabError as broken:
        print(f"lab: {broken}", file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
