"""Hold what all rows share: how large the work is, the hosts, and the peers."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.bench.peers import Peers
from tests.bench.specs import declare_web
from tests.bench.stage import Stage
from tests.e2e.driver import Driver

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Say how large the work is.

    Attributes:
        hosts: real hosts to start.
        connections: connections that stand in for as many hosts, several to each real one.
        containers: made on one host at once.
        settled: containers of a host on which nothing is to be done.
        heals: containers removed and healed in each round.
        plans: sandboxes of each fleet that is planned in memory; a tenth as many hosts.
        specs: files to validate.
    """

    hosts: int = 8
    connections: int = 100
    containers: int = 20
    settled: int = 10
    heals: int = 8
    plans: tuple[int, ...] = (1_000, 3_000, 10_000)
    specs: int = 2_000


TINY = Sizes(hosts=2, connections=2, containers=1, settled=1, heals=1, plans=(10, 30), specs=10)


class Setting:
    """Hold one run of the bench. Hosts and peers come when a row first asks for them."""

    def __init__(self, folder: Path, sizes: Sizes, stack: ExitStack, *, with_peers: bool) -> None:
        self.folder = folder
        self.sizes = sizes
        self.peers = Peers(wanted=with_peers)
        self._stack = stack

    @cached_property
    def stage(self) -> Stage:
        """Give the hosts, started now."""
        return self._stack.enter_context(Stage.open(self.folder / "lab", self.sizes.hosts, self.peers))

    @cached_property
    def fleet(self) -> Driver:
        """Give a fleet that was applied to every host: two sandboxes each, for those who look."""
        driver = Driver(self.room("fleet"), fleet="blook")
        declare_web(driver, self.stage.hosts, each=2)
        driver.run("apply", "--yes").expect(0)
        return driver

    def room(self, name: str) -> Path:
        """Give a fresh folder for one row or contender."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        path.chmod(0o755)
        return path

    @staticmethod
    def env(home: Path, **more: str) -> dict[str, str]:
        """Give the whole environment of one of our processes: nothing of the machine's own but the search path."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(CHECKOUT),
            "COLUMNS": "100",
            **more,
        }


@contextmanager
def open_setting(sizes: Sizes, *, with_peers: bool) -> Iterator[Setting]:
    """Open a folder that those who log in can reach, and take everything down at the end."""
    folder = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with ExitStack() as stack:
            yield Setting(folder, sizes, stack, with_peers=with_peers)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
