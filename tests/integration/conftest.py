"""Give files with the tools of both kinds of host, and one container of a real one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from reconciler.host.shell import Shell
from tests.integration.rig import Rig
from tests.integration.shells import shell_of
from tests.integration.subject import BUSYBOX, WEB, Subject
from tests.lab.host import LabHost
from tests.lab.packages import programs


@pytest.fixture(params=["debian", "busybox"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    folder = tmp_path.resolve()
    (folder / "home").mkdir(mode=0o755)
    shell = shell_of(request.param, programs=programs("bookworm"), folder=folder)
    return Rig(folder, cast("Shell", shell))


@pytest.fixture(scope="module")
def alpha(lab_hosts: tuple[LabHost, LabHost]) -> LabHost:
    return lab_hosts[0]


@pytest.fixture(scope="module")
def beta(lab_hosts: tuple[LabHost, LabHost]) -> LabHost:
    return lab_hosts[1]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def lab(engine: LabHost) -> LabHost:
    engine.load_image(BUSYBOX, WEB)
    return engine


@pytest.fixture
def subject(lab: LabHost) -> Iterator[Subject]:
    one = Subject(lab)
    yield one
    lab.docker("rm", "--force", "--volumes", one.name)
