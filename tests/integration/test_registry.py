"""The lab's registry: a real one, that serves only its own host, can be killed, and goes with its host."""

import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.missing import LabError
from tests.lab.registry import PASSWORD, USER, Registry, publish

pytestmark = pytest.mark.lab


def _status(registry: Registry, *, password: str | None = None) -> int:
    """Ask the registry for its version as Docker does first, and give the status."""
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    where = f"http://{registry.host.address}:{registry.port}/v2/"
    if password is not None:
        manager.add_password(None, where, USER, password)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    try:
        with opener.open(where, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def _processes_of(host: LabHost) -> list[str]:
    done = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if str(host.record.folder) in line]


def test_it_serves_what_was_published_and_leaves_nothing_behind(lab_folder: Path) -> None:
    with LabHost.start(lab_folder, "stocked", HostOptions(own_network=True)) as host:
        opened, locked = Registry(host, port=5000), Registry(host, port=5001, locked=True)
        opened.start()
        locked.start()
        publish(host, f"{opened.address}/lab/two:1", files={"/one": b"1\n", "/two": b"2\n"})
        assert host.docker("images", "--quiet").split() == []
        host.docker("pull", f"{opened.address}/lab/two:1")
        assert host.docker("run", "--rm", f"{opened.address}/lab/two:1", "cat", "/one", "/two") == "1\n2\n"

        assert [_status(locked), _status(locked, password="wrong"), _status(locked, password=PASSWORD)] == [
            401,
            401,
            200,
        ]
        asked = opened.requests
        assert _status(opened) == 200
        assert opened.requests > asked
        opened.kill()
        with pytest.raises(urllib.error.URLError, match="refused"):
            _status(opened)
        opened.start()
        assert _status(opened) == 200
        assert any("docker-registry" in words for words in _processes_of(host))

    assert _processes_of(host) == []
    assert not host.home.parent.exists()


def test_a_host_that_shares_this_machine_s_network_is_refused(lab_hosts: tuple[LabHost, LabHost]) -> None:
    with pytest.raises(LabError, match="own_network=True"):
        Registry(lab_hosts[0], port=5000)
