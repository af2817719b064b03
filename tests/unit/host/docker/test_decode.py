"""Replies of an engine become nouns in one form, and replies that no engine gives are refused by host and field."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import UNSET

from reconciler.errors import ReadFailed
from reconciler.host.docker.decode import (
    decode_container,
    decode_image,
    decode_list,
    decode_networks,
    decode_time,
    decode_volumes,
)
from reconciler.model.observed import Neighbour, SeenVolume
from reconciler.model.resource import Container, Gpus, Healthcheck, Mount, Published
from tests.builders import FLEET, full_id, labels_for

ID = full_id("one")
IMAGE_ID = f"sha256:{full_id('image')}"


def inspected(**over: Any) -> dict[str, Any]:
    """Give an inspection as Docker writes it; `Config__Env=…` overrides a field inside."""
    reply: dict[str, Any] = {
        "Id": ID,
        "Name": "/sbx-lab.web-1.main",
        "Image": IMAGE_ID,
        "Created": "2025-06-01T12:00:00.123456789Z",
        "RestartCount": 2,
        "State": {
            "Status": "running",
            "ExitCode": 0,
            "OOMKilled": False,
            "Error": "",
            "StartedAt": "2025-06-01T12:00:01.5Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
            "Health": {"Status": "healthy", "Log": None},
        },
        "Config": {"Image": "web:1", "Env": ["A=1", "B=x=y"], "Cmd": ["serve"], "Labels": {}, "Hostname": "abc"},
        "HostConfig": {"NetworkMode": "default", "RestartPolicy": {"Name": "", "MaximumRetryCount": 0}},
        "NetworkSettings": {"Networks": {"bridge": {"Aliases": None, "IPAddress": "172.17.0.2"}}},
    }
    for path, value in over.items():
        *parents, last = path.split("__")
        at = reply
        for parent in parents:
            at = at.setdefault(parent, {})
        at[last] = value
    return reply


def spec(**over: Any) -> Container:
    return decode_container(inspected(**over), host="h1").spec


def test_a_container_is_read_in_full() -> None:
    labels = labels_for()
    seen = decode_container(inspected(Config__Labels={**labels, "team": "blue"}), host="h1")
    assert (seen.full_id, seen.name, seen.image_id) == (ID, "sbx-lab.web-1.main", IMAGE_ID)
    assert seen.labels == {**labels, "team": "blue"}
    assert seen.spec.labels == {"team": "blue"}
    assert seen.spec.name == "main"
    assert seen.spec.env == {"A": "1", "B": "x=y"}
    assert seen.live.started_at == datetime(2025, 6, 1, 12, 0, 1, 500_000, tzinfo=UTC)
    assert seen.live.finished_at is None
    assert seen.created_at.microsecond == 123_456
    assert (seen.live.health, seen.live.restart_count) == ("healthy", 2)


def test_a_container_without_our_labels_keeps_its_own_name() -> None:
    assert spec().name == "sbx-lab.web-1.main"


GPU_REQUEST: dict[str, Any] = {
    "Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {},
}  # fmt: skip


@pytest.mark.parametrize("field", ["Env", "Cmd", "Entrypoint", "Labels", "Healthcheck"])
def test_null_and_missing_are_the_same(field: str) -> None:
    without = inspected()
    without["Config"].pop(field, None)
    assert decode_container(without, host="h1").spec == spec(**{f"Config__{field}": None})


@pytest.mark.parametrize("field", ["Mounts", "Binds", "PortBindings", "CapAdd", "Devices", "Ulimits", "ExtraHosts"])
def test_empty_null_and_missing_are_the_same(field: str) -> None:
    empty: Any = {} if field == "PortBindings" else []
    assert spec() == spec(**{f"HostConfig__{field}": None}) == spec(**{f"HostConfig__{field}": empty})


@pytest.mark.parametrize(
    ("over", "field", "expected"),
    [
        ({"HostConfig__RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}, "restart", "no"),
        ({"HostConfig__RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}, "restart", "on-failure:3"),
        ({"HostConfig__Binds": ["/srv:/in:ro,z", "data:/out"]}, "mounts", {
            "/in": Mount("bind", "/srv", read_only=True), "/out": Mount("volume", "data")}),
        ({"HostConfig__Mounts": [{"Type": "tmpfs", "Target": "/tmp"}]}, "mounts", {}),
        ({"HostConfig__PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "0"}]}}, "ports", {
            "80/tcp": Published("0.0.0.0", None)}),
        ({"HostConfig__PortBindings": {"80/tcp": [{"HostIp": "::", "HostPort": "81"}, {"HostIp": "127.0.0.1"}]}},
         "ports", {"80/tcp": Published("127.0.0.1"), "80/tcp#2": Published("::", 81)}),
        ({"HostConfig__CapAdd": ["CAP_SYS_ADMIN", "net_admin"]}, "cap_add", ("NET_ADMIN", "SYS_ADMIN")),
        ({"HostConfig__IpcMode": "host", "HostConfig__SecurityOpt": ["label=disable", "x"]}, "security_opt", ("x",)),
        ({"HostConfig__SecurityOpt": ["label=disable"]}, "security_opt", ("label=disable",)),
        ({"HostConfig__Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "rwm"}]},
         "devices", ("/dev/a:/dev/b",)),
        ({"HostConfig__DeviceRequests": [GPU_REQUEST]}, "gpu", Gpus()),
        ({"HostConfig__DeviceRequests": [{**GPU_REQUEST, "Driver": "nvidia", "Count": 2}]}, "gpu", Gpus(count=2)),
        ({"HostConfig__DeviceRequests": None}, "gpu", UNSET),
        ({"HostConfig__DeviceRequests": [{**GPU_REQUEST, "Count": 0, "DeviceIDs": ["3"]}]}, "gpu", UNSET),
        ({"HostConfig__DeviceRequests": [{**GPU_REQUEST, "Count": 0, "DeviceIDs": ["3"]}]}, "security_opt", (
            'gpus=["",0,["3"],[["gpu"]],{}]',)),
        ({"HostConfig__DeviceRequests": [GPU_REQUEST, {"Driver": "x", "Count": 1}]}, "security_opt", (
            'gpus=["x",1,[],[],{}]',)),
        ({"HostConfig__CpuQuota": 50_000, "HostConfig__CpuPeriod": 100_000}, "cpu_nanos", 500_000_000),
        ({"HostConfig__PidsLimit": -1}, "pids", None),
        ({"HostConfig__Memory": 0}, "memory_bytes", None),
        ({"Config__Healthcheck": {"Test": ["NONE"]}}, "healthcheck", Healthcheck(("NONE",))),
        ({"Config__Healthcheck": {"Interval": 1_500_000_000}}, "healthcheck", Healthcheck(interval_ms=1500)),
        ({"Config__Healthcheck": {}}, "healthcheck", None),
        ({"HostConfig__ExtraHosts": ["db:fd00::1"]}, "extra_hosts", {"db": "fd00::1"}),
        ({"HostConfig__NetworkMode": "host", "NetworkSettings__Networks": {"host": {}}}, "network_mode", "host"),
        ({"HostConfig__NetworkMode": "n", "NetworkSettings__Networks": {"n": {"Aliases": ["web", ID[:12]]}}},
         "networks", {"n": ("web",)}),
        ({"HostConfig__NetworkMode": "n", "NetworkSettings__Networks": {"n": None, "bridge": None}},
         "networks", {"n": (), "bridge": ()}),
        ({"HostConfig__NetworkMode": "n", "NetworkSettings__Networks": {}}, "networks", {}),
    ],
)  # fmt: skip
def test_what_docker_writes_in_several_ways_has_one_form(over: dict[str, Any], field: str, expected: Any) -> None:
    assert getattr(spec(**over), field) == expected


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        ("Id", "abc"),
        ("Id", f"{ID}\n"),
        ("Id", None),
        ("Name", 7),
        ("Image", "x" * 9000),
        ("State__Status", "sleeping"),
        ("State__ExitCode", "0"),
        ("State__StartedAt", "yesterday"),
        ("State__StartedAt", "9999-12-31T23:59:59Z"),
        ("State__StartedAt", "2025-13-01T00:00:00Z"),
        ("Created", "0001-01-01T00:00:00Z"),
        ("Config__Env", "A=1"),
        ("Config__Labels", ["a"]),
        ("Config__Labels", {"a": 1}),
        ("RestartCount", -1),
        ("HostConfig__Memory", "64m"),
        ("HostConfig__ShmSize", -5),
        ("HostConfig__Mounts", [{"Type": "bind"}]),
        ("HostConfig", None),
        ("State", []),
    ],
)
def test_a_reply_that_no_engine_gives_is_refused_by_host_and_field(path: str, bad: Any) -> None:
    with pytest.raises(ReadFailed) as refused:
        decode_container(inspected(**{path: bad}), host="h1")
    assert refused.value.code == "E_HOST_REPLY"
    assert "host h1" in refused.value.message
    assert path.rsplit("__", maxsplit=1)[-1] in refused.value.message


@pytest.mark.parametrize("raw", [None, [], "x", 7, {}, {"Id": ID}])
def test_what_is_no_container_at_all_is_refused(raw: object) -> None:
    with pytest.raises(ReadFailed, match="host h1"):
        decode_container(raw, host="h1")


def test_an_error_never_repeats_control_characters() -> None:
    with pytest.raises(ReadFailed) as refused:
        decode_container(inspected(State__Status="\x1b]0;evil\x07"), host="h1")
    assert "\x1b" not in refused.value.message


def test_the_input_is_left_as_it_was() -> None:
    raw = inspected()
    before = copy.deepcopy(raw)
    decode_container(raw, host="h1")
    assert raw == before


def test_an_image_is_read() -> None:
    raw = {
        "Id": IMAGE_ID,
        "Config": {
            "Env": ["PATH=/bin"],
            "Cmd": ["serve"],
            "Labels": {"x": "y"},
            "WorkingDir": "/srv",
            "StopSignal": "SIGINT",
        },
    }
    fact = decode_image(raw, host="h1")
    assert fact.id == IMAGE_ID
    assert (fact.env, fact.command, fact.entrypoint) == ({"PATH": "/bin"}, ("serve",), ())
    assert (fact.stop_signal, fact.labels) == ("SIGINT", {"x": "y"})
    assert decode_image({"Id": IMAGE_ID, "Config": None}, host="h1").env == {}


def listed(**over: Any) -> dict[str, Any]:
    return {"Id": ID, "Names": ["/web"], "State": "running", "Labels": None, "Ports": [], **over}


def test_a_list_is_read_and_sorted() -> None:
    ports = [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 53, "PublicPort": 5353, "Type": "udp"},
        {"PrivatePort": 99, "Type": "tcp"},
    ]
    other = listed(Id="0" * 64, Names=["/other/alias", "/db"], Labels={"a": "b"}, Ports=ports)
    found = decode_list([listed(), other], host="h1")
    assert found == (
        Neighbour(
            full_id="0" * 64,
            name="db",
            state="running",
            labels={"a": "b"},
            ports=("0.0.0.0:8080/tcp", "127.0.0.1:5353/udp"),
        ),
        Neighbour(full_id=ID, name="web", state="running"),
    )
    assert decode_list([listed(Names=None)], host="h1")[0].name == ""


@pytest.mark.parametrize("bad", [[listed(), listed()], [listed(Id="x")], {}, None, [None], [listed(Ports="80")]])
def test_a_list_that_no_engine_gives_is_refused(bad: object) -> None:
    with pytest.raises(ReadFailed, match="list of containers"):
        decode_list(bad, host="h1")


def test_networks_of_one_name_are_both_kept() -> None:
    raw = [{"Id": full_id(2), "Name": "n", "Labels": {}}, {"Id": full_id(1), "Name": "n", "Labels": {"a": "b"}}]
    assert {network.id for network in decode_networks(raw, host="h1")} == {full_id(1), full_id(2)}


def test_volumes_are_read() -> None:
    assert decode_volumes({"Volumes": None}, host="h1") == ()
    raw = {"Volumes": [{"Name": "b", "Labels": None}, {"Name": "a", "Labels": {"x": FLEET}}]}
    assert decode_volumes(raw, host="h1") == (SeenVolume(name="a", labels={"x": FLEET}), SeenVolume(name="b"))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", None),
        ("0001-01-01T00:00:00Z", None),
        ("2025-06-01T12:00:00Z", datetime(2025, 6, 1, 12, tzinfo=UTC)),
        ("2025-06-01T12:00:00.000001999Z", datetime(2025, 6, 1, 12, 0, 0, 1, tzinfo=UTC)),
        ("2025-06-01T14:00:00.1+02:00", datetime(2025, 6, 1, 12, 0, 0, 100_000, tzinfo=UTC)),
        ("2025-06-01T02:30:00-09:30", datetime(2025, 6, 1, 12, tzinfo=UTC)),
    ],
)
def test_times_of_docker_are_read(text: str, moment: datetime | None) -> None:
    assert decode_time(text, host="h1", what="a time") == moment


@pytest.mark.parametrize("text", ["2025-06-01", "2025-06-01T12:00:00", "٢٠٢٥-06-01T12:00:00Z", "2025-02-30T00:00:00Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ReadFailed, match="is no time"):
        decode_time(text, host="h1", what="a time")
