"""Offer real hosts to tests. A machine that cannot run them makes these fixtures fail, never skip."""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest

from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.packages import Generation


@pytest.fixture(scope="session")
def lab_folder() -> Iterator[Path]:
    """Give a folder for this test process's hosts: short, and open to those who log in."""
    # pytest's own temporary folders are closed to other users and too deep for a socket's path.
    folder = Path(tempfile.mkdtemp(prefix="reconciler-lab-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def lab_hosts(lab_folder: Path) -> Iterator[tuple[LabHost, LabHost]]:
    """Give two running hosts, `alpha` and `beta`, of the default engine, shared by all tests of this process."""
    with ThreadPoolExecutor(2) as starters:
        starts = [starters.submit(LabHost.start, lab_folder, name) for name in ("alpha", "beta")]
    hosts = [start.result() for start in starts if start.exception() is None]
    try:
        for start in starts:
            start.result()
        yield hosts[0], hosts[1]
    finally:
        for host in hosts:
            host.stop()


@pytest.fixture(scope="session", params=[name for name in get_args(Generation) if name != "path"])
def engine(request: pytest.FixtureRequest, lab_folder: Path) -> Iterator[LabHost]:
    """Give a running host of each engine generation in turn, shared by all tests of this process."""
    generation: Generation = request.param
    with LabHost.start(lab_folder, f"engine-{generation}", HostOptions(generation=generation)) as host:
        yield host
