"""What an engine is sent says everything, and leaves nothing to its defaults."""

from __future__ import annotations

import pytest

from reconciler.host.docker.requests import create_body, update_body
from reconciler.model.resource import Container, Gpus, Healthcheck, Mount, Published, Ulimit
from reconciler.model.text import Late, Template, Unbound
from tests.builders import a_container, labels_for

SECRET = Template(("Bearer ", Late("secret:token")))


def test_a_bare_container_leaves_to_the_image_what_is_the_images() -> None:
    body = create_body(a_container(), labels={})
    assert not {"Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal", "Healthcheck"} & set(body)
    host = body["HostConfig"]
    assert (host["IpcMode"], host["NetworkMode"], host["ShmSize"]) == ("private", "bridge", 64 << 20)
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"], host["NanoCpus"]) == (0, 0, 0, 0)
    assert "Binds" not in host
    assert "Privileged" not in host


def test_everything_that_is_said_is_sent() -> None:
    want = Container(
        name="main",
        image="web:1",
        env={"B": "2", "A": ""},
        labels={"team": "blue"},
        mounts={"/in": Mount("bind", "/srv", read_only=True)},
        ports={"80/tcp": Published("127.0.0.1"), "53/udp": Published("0.0.0.0", 5353)},
        networks={"b": ("web",), "a": ("one", "two")},
        devices=("/dev/a:/dev/b:r", "/dev/c"),
        healthcheck=Healthcheck(("CMD", "true"), interval_ms=1500),
        ulimits={"nofile": Ulimit(1, 2)},
        extra_hosts={"db": "fd00::1"},
        restart="on-failure:3",
        memory_bytes=1 << 20,
        pids=7,
    )
    body = create_body(want, labels=labels_for())
    host = body["HostConfig"]
    assert body["Env"] == ["A=", "B=2"]
    assert body["Labels"] == {"team": "blue", **labels_for()}
    assert host["Mounts"] == [{"Type": "bind", "Source": "/srv", "Target": "/in", "ReadOnly": True}]
    assert host["PortBindings"] == {
        "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "5353"}],
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
    }
    assert set(body["ExposedPorts"]) == {"80/tcp", "53/udp"}
    assert host["NetworkMode"] == want.first_network == "a"
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"a": {"Aliases": ["one", "two"]}}}
    assert host["Devices"] == [
        {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"},
        {"PathOnHost": "/dev/c", "PathInContainer": "/dev/c", "CgroupPermissions": "rwm"},
    ]
    assert body["Healthcheck"]["Interval"] == 1_500_000_000
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (1 << 20, 2 << 20, 7)
    assert host["ExtraHosts"] == ["db:fd00::1"]


@pytest.mark.parametrize(("gpu", "count"), [(Gpus(), -1), (Gpus(count=2), 2)])
def test_gpus_are_asked_for_as_docker_run_does(gpu: Gpus, count: int) -> None:
    host = create_body(Container(name="main", image="web:1", gpu=gpu), labels={})["HostConfig"]
    assert host["DeviceRequests"] == [{"Driver": "", "Count": count, "Capabilities": [["gpu"]]}]
    assert "DeviceRequests" not in create_body(Container(name="main", image="web:1"), labels={})["HostConfig"]


def test_our_labels_win_over_a_containers_own() -> None:
    theirs = a_container(labels={"dev.reconciler.fleet": "theirs"})
    assert create_body(theirs, labels=labels_for())["Labels"]["dev.reconciler.fleet"] == "lab"


@pytest.mark.parametrize(
    "want",
    [
        a_container(env={"TOKEN": SECRET}),
        a_container(command=("serve", SECRET)),
        a_container(mounts={"/in": Mount("bind", SECRET)}),
    ],
)
def test_nothing_symbolic_is_ever_sent(want: Container) -> None:
    with pytest.raises(Unbound) as refused:
        create_body(want, labels={})
    assert refused.value.name == "secret:token"


def test_an_update_sends_memory_with_its_swap_and_leaves_out_what_cannot_be_lifted() -> None:
    assert update_body(restart="no", cpu_nanos=None, memory_bytes=None, pids=None) == {
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "PidsLimit": 0,
    }
    body = update_body(restart="always", cpu_nanos=5, memory_bytes=10, pids=3)
    assert (body["Memory"], body["MemorySwap"], body["NanoCpus"], body["PidsLimit"]) == (10, 20, 5, 3)
