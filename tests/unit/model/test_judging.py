"""Judge resolved compose files: what is let through, and what a hostile one cannot have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.compose import ComposePolicy, Model, Project
from reconciler.model.judging import in_place, judge
from tests import builders as b

PROJECT = Project(
    fleet=b.FLEET,
    sandbox=b.SANDBOX,
    origin="spec",
    folder=f"{b.BASE_DIR}/{b.a_sandbox().uid}/source",
    services=("web",),
    policy=ComposePolicy(),
    base_dir=b.BASE_DIR,
    docker_root=b.DOCKER_ROOT,
)
OWN = f"{b.BASE_DIR}/{PROJECT.uid}"
HERE = PROJECT.folder


def resolved(*, more: dict[str, Any] | None = None, **service: Any) -> Model:
    """Give what compose prints of a file with one service."""
    web = {"command": None, "entrypoint": None, "image": "web:1", "networks": {"default": None}, **service}
    default = {"name": f"{PROJECT.name}_default", "ipam": {}}
    return {"name": PROJECT.name, "services": {"web": web}, "networks": {"default": default}, **(more or {})}


def policed(**policy: Any) -> Project:
    return replace(PROJECT, policy=ComposePolicy(**policy))


def bound(source: str, **more: Any) -> dict[str, Any]:
    """Give a service that has a host's path mounted."""
    return {"volumes": [{"type": "bind", "source": source, "target": "/t", **more}]}


HARMLESS: dict[str, Any] = {
    "attach": False, "command": ["a"], "cpu_count": 1, "cpu_percent": 1.5, "cpu_period": 1, "cpu_quota": 1,
    "cpu_shares": 1, "cpus": 1.5, "cpuset": "0", "depends_on": {"db": {"condition": "service_started"}},
    "dns": ["10.0.0.1"], "dns_opt": ["x"], "dns_search": ["x"], "domainname": "x", "entrypoint": ["a"],
    "environment": {"A": "1"}, "expose": ["1"], "extra_hosts": ["a=1.2.3.4"], "healthcheck": {"test": ["CMD", "x"]},
    "hostname": "x", "init": True, "mem_limit": "1", "mem_reservation": "1", "memswap_limit": "1",
    "mem_swappiness": "1", "pids_limit": 1, "platform": "linux/amd64", "profiles": ["x"], "pull_policy": "always",
    "read_only": True, "restart": "always", "shm_size": "1", "stdin_open": True, "stop_grace_period": "1s",
    "stop_signal": "SIGINT", "tmpfs": ["/run"], "tty": True, "ulimits": {"nofile": 1}, "user": "1", "working_dir": "/",
    "cap_drop": ["ALL"], "x-mine": {"a": 1}, "labels": {"a": "1"}, "networks": {"default": {"aliases": ["a"]}},
    "ports": [{"mode": "ingress", "target": 80, "published": "8080", "protocol": "tcp", "host_ip": "127.0.0.1"}],
    "deploy": {"replicas": 1, "resources": {"limits": {"cpus": 1, "memory": "1"}}, "placement": {}}, "scale": 1,
    "oom_score_adj": 500, "logging": {"driver": "json-file", "options": {"max-size": "1m"}}, "network_mode": "none",
    "ipc": "shareable", "security_opt": [], "privileged": False, "devices": None,
}  # fmt: skip


@pytest.mark.parametrize("key", sorted(HARMLESS))
def test_what_asks_for_nothing_of_the_host_is_let_through(key: str) -> None:
    assert judge(resolved(**{key: HARMLESS[key]}), PROJECT) == ()


REFUSED: dict[str, Any] = {
    "annotations": {"org.systemd.property.DevicePolicy": "'auto'"}, "blkio_config": {"weight": 1}, "build": {"a": "."},
    "cgroup": "host", "cgroup_parent": "/x", "configs": [{"source": "x"}], "cpu_rt_runtime": "1",
    "credential_spec": {"file": "x"}, "develop": {"watch": []}, "device_cgroup_rules": ["a *:* rwm"], "env_file": ["x"],
    "extends": {"service": "x"}, "external_links": ["x"], "gpus": [{"count": -1}], "group_add": ["docker"],
    "isolation": "x", "label_file": ["x"], "links": ["x"], "mac_address": "x", "models": {"x": None},
    "oom_kill_disable": True, "pid": "host", "post_start": [{"command": ["x"], "user": "root"}],
    "pre_start": [{"command": ["x"]}], "pre_stop": [{"command": ["x"]}], "privileged": True,
    "provider": {"type": "x"}, "runtime": "x", "secrets": [{"source": "x"}], "security_opt": ["seccomp:unconfined"],
    "storage_opt": {"size": "1"}, "sysctls": {"kernel.x": "1"}, "use_api_socket": True, "userns_mode": "host",
    "uts": "host", "volumes_from": ["container:x"], "of a later compose": 0,
}  # fmt: skip


@pytest.mark.parametrize("key", sorted(REFUSED))
@pytest.mark.parametrize("hardened", [False, True])
def test_what_no_rule_knows_is_refused(key: str, *, hardened: bool) -> None:
    project = policed(hardened=hardened)
    assert judge(resolved(**{key: REFUSED[key]}), project) == (f"services.web.{key}: nothing judges this key",)


@pytest.mark.parametrize("key", ["configs", "secrets", "include", "models", "of a later compose"])
def test_what_a_file_says_beside_its_services_is_refused_too(key: str) -> None:
    assert judge(resolved(more={key: {"x": {"file": "/etc/passwd"}}}), PROJECT) == (f"{key}: nothing judges this key",)
    assert judge(resolved(more={key: {}, "x-mine": {"a": 1}, "version": "3"}), PROJECT) == ()


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"container_name": "mine"}, "container_name: a name of its own"),
        ({"image": None}, "image: it names none"),
        ({"labels": {"dev.reconciler.uid": "x"}}, "is the reconciler's own"),
        ({"scale": 0}, "each service has one container"),
        ({"scale": 2}, "each service has one container"),
        ({"deploy": {"replicas": 0}}, "each service has one container"),
        ({"deploy": {"replicas": 2}}, "each service has one container"),
        ({"deploy": {"mode": "global"}}, "deploy: mode: nothing judges"),
        ({"deploy": {"resources": {"reservations": {"devices": [{}]}}}}, "reservations.devices: nothing judges"),
        ({"network_mode": "host"}, "denies the host's network"),
        ({"network_mode": f"container:{b.full_id(1)}"}, "is not let through"),
        ({"network_mode": "their_network"}, "is not let through"),
        ({"ipc": "host"}, "denies the host's ipc"),
        ({"ipc": "container:x"}, "is not let through"),
        ({"cap_add": ["SYS_ADMIN"]}, "denies SYS_ADMIN"),
        ({"cap_add": ["ALL"]}, "denies ALL"),
        ({"devices": [{"source": "/dev/sda", "target": "/dev/null", "permissions": "rwm"}]}, "denies /dev/sda"),
        ({"devices": ["/dev/sda:/dev/null:rwm"]}, "denies /dev/sda"),
        ({"networks": {"default": {"ipv4_address": "10.0.0.1"}}}, "default.ipv4_address: nothing judges"),
        ({"networks": {"default": {"driver_opts": {"x": "y"}}}}, "default.driver_opts: nothing judges"),
        ({"ports": [{"target": 1, "x": 1}]}, "ports: x: nothing judges"),
        ({"logging": {"driver": "syslog", "options": {"syslog-address": "unix:///x"}}}, "the driver syslog"),
        ({"logging": {"driver": "splunk", "options": {"splunk-url": "http://127.0.0.1"}}}, "the driver splunk"),
        ({"logging": {"x": 1}}, "logging: x: nothing judges"),
        ({"oom_score_adj": -1}, "would end other things"),
        ({"ports": ["80:80"]}, "a form that nothing here judges"),
        ({"volumes": ["/etc:/etc"]}, "a form that nothing here judges"),
        ({"networks": ["theirs"]}, "a form that nothing here judges"),
        ({"oom_score_adj": "much"}, "a form that nothing here judges"),
    ],
    ids=str,
)
def test_each_rule_refuses_what_it_is_for(service: dict[str, Any], said: str) -> None:
    (fault,) = judge(resolved(**service), PROJECT)
    assert said in fault
    assert fault.startswith("services.web.") or said.startswith("a form")


@pytest.mark.parametrize(
    ("policy", "service"),
    [
        ({"images": ("web:*",)}, {}),
        ({"host_network": True}, {"network_mode": "host"}),
        ({"host_ipc": True}, {"ipc": "host"}),
        ({"cap_add": ("SYS_PTRACE",)}, {"cap_add": ["CAP_SYS_PTRACE", "sys_ptrace"]}),
        ({"devices": ("/dev/fuse",)}, {"devices": [{"source": "/dev/fuse", "target": "/dev/fuse"}]}),
        ({"devices": ("/dev/fuse",)}, {"devices": ["/dev/fuse:/dev/fuse:rwm"]}),
        ({"mounts": ("/srv",)}, bound("/srv/data")),
        ({"mounts": ("/srv",)}, bound("/srv")),
        ({"mounts": ("/",)}, bound("/srv")),
        ({}, {"network_mode": "service:db"}),
        ({}, {"ipc": "service:db"}),
    ],
    ids=str,
)
def test_what_the_policy_allows_is_let_through(policy: dict[str, Any], service: dict[str, Any]) -> None:
    assert judge(resolved(**service), policed(**policy)) == ()


def test_the_policys_images_are_patterns() -> None:
    assert judge(resolved(), policed(images=("lab/*",))) == (
        "services.web.image: the Fleet's policy does not allow web:1",
    )


# Mounts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("/etc", "the Fleet's policy.mounts does not name it"),
        ("/", "holds the markers"),
        ("/home", "holds the markers"),
        (b.BASE_DIR, "holds the markers"),
        (OWN, "holds the markers"),
        (f"{b.BASE_DIR}/00000000/source", "holds the markers"),
        (f"{OWN}/.reconciler.json", "what is ours is not for containers"),
        (f"{OWN}/.new-source/x", "what is ours is not for containers"),
        (f"{OWN}/.tree-model.json", "what is ours is not for containers"),
        (b.DOCKER_ROOT, "holds what Docker keeps"),
        (f"{b.DOCKER_ROOT}/volumes/x", "holds what Docker keeps"),
        ("/srv/x.sock", "it looks like a socket"),
        ("/srvx", "does not name it"),
        ("/srv/../etc", "no absolute path in its shortest form"),
        ("relative", "no absolute path in its shortest form"),
        ("", "no absolute path in its shortest form"),
        (f"{HERE}/a$$b", "a dollar sign"),
        ("/srv/a$$b", "a dollar sign"),
    ],
)
def test_a_path_of_the_host_is_not_mounted(source: str, said: str) -> None:
    (fault,) = judge(resolved(**bound(source)), policed(mounts=("/srv", "/var")))
    assert said in fault


@pytest.mark.parametrize("source", [HERE, f"{HERE}/data", f"{HERE}/.hidden", f"{OWN}/cache"])
def test_what_is_the_sandboxs_own_may_be_mounted(source: str) -> None:
    assert judge(resolved(**bound(source, bind={"create_host_path": True, "selinux": "Z"})), PROJECT) == ()


@pytest.mark.parametrize(
    ("mount", "said"),
    [
        ({"type": "npipe", "source": "x"}, "a mount of type npipe"),
        ({"type": "cluster", "source": "x"}, "a mount of type cluster"),
        ({"type": "image", "source": "x"}, "a mount of type image"),
        ({"type": None}, "a mount of type None"),
        ({"type": "volume", "source": "/etc"}, "/etc is no name of a volume"),
        ({"type": "bind", "source": "/srv", "bind": {"propagation": "rshared"}}, "only private propagation"),
        ({"type": "bind", "source": "/srv", "bind": {"selinux": "Z"}}, "labels of a folder"),
        ({"type": "bind", "source": "/srv", "bind": {"later": 1}}, "bind.later: nothing judges"),
        ({"type": "tmpfs", "later": 1}, "later: nothing judges"),
    ],
)
def test_a_mount_of_another_kind_is_refused(mount: dict[str, Any], said: str) -> None:
    (fault,) = judge(resolved(volumes=[{"target": "/t", **mount}]), policed(mounts=("/srv",)))
    assert said in fault


def test_volumes_and_tmpfs_are_let_through() -> None:
    mounts = [{"type": "volume", "source": "rows", "target": "/r", "volume": {}}, {"type": "tmpfs", "target": "/t"}]
    more = {"volumes": {"rows": {"name": f"{PROJECT.name}_rows"}}}
    assert judge(resolved(volumes=mounts, more=more), PROJECT) == ()


@pytest.mark.parametrize("outer", [HERE, f"{HERE}/data"])
@pytest.mark.parametrize("is_one_service", [False, True])
def test_nothing_is_mounted_below_what_a_service_may_write_to(outer: str, *, is_one_service: bool) -> None:
    """It could be exchanged for a link to anything while a service that starts later waits."""
    project = replace(PROJECT, services=("db", "web"))
    both = [bound(outer)["volumes"][0], bound(f"{HERE}/data/inner")["volumes"][0]]
    image = {"image": "x"}

    def faults(*, read_only: bool) -> tuple[str, ...]:
        mounts = [{**both[0], "read_only": read_only}, both[1]]
        split = ([], mounts) if is_one_service else (mounts[:1], mounts[1:])
        services = {name: {**image, "volumes": part} for name, part in zip(("db", "web"), split, strict=True)}
        return judge({**resolved(), "services": services}, project)

    (fault,) = faults(read_only=False)
    assert fault.startswith(f"services.web.volumes: {HERE}/data/inner lies below {outer}, which ")
    assert faults(read_only=True) == ()


# Networks and volumes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["networks", "volumes"])
@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"external": True, "name": "theirs"}, "external: what is outside"),
        ({"name": "theirs"}, "a name of its own"),
        ({"driver": "overlay"}, "driver: only"),
        ({"driver_opts": {"type": "none", "o": "bind", "device": "/"}}, "driver_opts: nothing judges"),
        ({"labels": {"dev.reconciler.uid": "x"}}, "is the reconciler's own"),
        ({"later": 1}, "later: nothing judges"),
    ],
)
def test_a_network_or_volume_that_is_not_only_ours_is_refused(kind: str, part: dict[str, Any], said: str) -> None:
    whole = {"name": f"{PROJECT.name}_x", **part}
    (fault,) = judge({**resolved(), kind: {"x": whole}}, PROJECT)
    assert fault.startswith(f"{kind}.x.")
    assert said in fault


@pytest.mark.parametrize(
    "ipam", [{"config": [{"subnet": "8.8.8.0/24"}]}, {"driver": "theirs"}, {"options": {"x": "y"}}, {"later": 1}]
)
def test_a_network_takes_no_addresses_of_its_own(ipam: dict[str, Any]) -> None:
    part = {"name": f"{PROJECT.name}_x", "ipam": ipam}
    (fault,) = judge({**resolved(), "networks": {"x": part}}, PROJECT)
    assert fault.startswith("networks.x.ipam")


def test_an_ordinary_network_and_volume_are_let_through() -> None:
    network = {
        "name": f"{PROJECT.name}_x",
        "driver": "bridge",
        "internal": True,
        "attachable": True,
        "labels": {"a": "b"},
    }
    network["ipam"] = {"driver": "default"}
    volume = {"name": f"{PROJECT.name}_x", "driver": "local", "labels": {"a": "b"}, "external": False}
    assert judge({**resolved(), "networks": {"x": network}, "volumes": {"x": volume}}, PROJECT) == ()


# The whole ------------------------------------------------------------------------------------------------------------


def test_other_services_than_the_file_names_are_refused() -> None:
    more = resolved()
    more["services"]["db"] = {"image": "x"}
    assert "compose resolved db, web, and the file names web" in judge(more, PROJECT)[0]
    assert "compose resolved none" in judge({**resolved(), "services": None}, PROJECT)[0]


@pytest.mark.parametrize("name", ["a/b", "Web"])
def test_a_service_name_that_no_object_could_have_is_refused(name: str) -> None:
    model = {**resolved(), "services": {name: {"image": "x"}}}
    assert "its name:" in judge(model, replace(PROJECT, services=(name,)))[0]


def test_another_projects_name_is_refused() -> None:
    assert judge({**resolved(), "name": "other"}, PROJECT) == (f"name: it is 'other', not {PROJECT.name!r}",)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
KEYS = sorted({*HARMLESS, *REFUSED, "volumes", "cap_add"})


@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=3), values, values)
def test_whatever_compose_prints_is_judged(service: dict[str, Any], networks: Any, volumes: Any) -> None:
    model = resolved(**service, more={"networks": networks, "volumes": volumes})
    judge(in_place(model, PROJECT), PROJECT)
    judge(in_place({**model, "services": networks}, PROJECT), PROJECT)


@given(st.sampled_from(sorted(REFUSED)), values, st.sampled_from(KEYS), values)
def test_no_key_hides_another(key: str, value: Any, other: str, beside: Any) -> None:
    said = value is not None and value is not False and not (isinstance(value, str | list | dict) and not value)
    faults = judge(resolved(**{other: beside, key: value}), PROJECT)
    assert bool(faults) >= said


# Where it was resolved ------------------------------------------------------------------------------------------------


def test_paths_of_a_staged_tree_become_those_of_its_place() -> None:
    staged = f"{OWN}/.new-source"
    sources = [staged, f"{staged}/data", f"{staged}x", "/srv", f"{OWN}/cache"]
    model = resolved(volumes=[{"type": "bind", "source": source} for source in sources], working_dir=staged)
    placed = in_place(model, PROJECT)["services"]["web"]
    assert [mount["source"] for mount in placed["volumes"]] == [HERE, f"{HERE}/data", *sources[2:]]
    assert placed["working_dir"] == staged, "a path in a container is another thing"


def test_a_staged_tree_is_judged_where_it_is() -> None:
    project = replace(PROJECT, folder=f"{OWN}/.new-source")
    for source in (f"{OWN}/.new-source/data", f"{OWN}/.new-source"):
        model = resolved(**bound(source))
        assert in_place(model, project) == model
        assert judge(model, project) == ()
        assert judge(model, PROJECT) != ()
