"""Give each test a driver of its own, and the lab's hosts declared in its specs."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.e2e.warm import Warm
from tests.lab.host import LabHost
from tests.lab.images import IMAGES


@pytest.fixture
def bare(tmp_path: Path, request: pytest.FixtureRequest, warm: Warm) -> Driver:
    """Give a driver with an empty spec folder; it needs no host."""
    return Driver(tmp_path / "work", fleet=_fleet_of(request), warm=warm)


@pytest.fixture
def driver(bare: Driver, lab_hosts: tuple[LabHost, LabHost]) -> Iterator[Driver]:
    """Give a driver whose specs hold a Fleet and the Hosts `alpha` and `beta`; the hosts are cleared afterwards."""
    bare.declare_fleet()
    for host in lab_hosts:
        bare.declare_host(host)
    yield bare
    for host in lab_hosts:
        bare.clear(host)


@pytest.fixture(scope="session")
def stocked_hosts(lab_hosts: tuple[LabHost, LabHost]) -> tuple[LabHost, LabHost]:
    """Give `alpha` and `beta` with every image of the lab on them."""
    for host in lab_hosts:
        host.load_image(*IMAGES)
    return lab_hosts


@pytest.fixture
def fleet(driver: Driver, stocked_hosts: tuple[LabHost, LabHost]) -> Driver:
    """Give the driver of this test with images on its hosts."""
    assert stocked_hosts
    return driver


@pytest.fixture
def alpha(stocked_hosts: tuple[LabHost, LabHost]) -> LabHost:
    """Give the first host."""
    return stocked_hosts[0]


@pytest.fixture
def beta(stocked_hosts: tuple[LabHost, LabHost]) -> LabHost:
    """Give the second host."""
    return stocked_hosts[1]


def _fleet_of(request: pytest.FixtureRequest) -> str:
    """Name a fleet after its test, so that tests do not meet on the hosts that they share."""
    return "t" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:9]
