"""Draw valid things for laws: names, late text, containers, sandboxes, fleets, and worlds in which hosts may stand."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from msgspec.structs import replace

from reconciler.model.desired import Desired, SandboxDesired
from reconciler.model.effect import NotDone
from reconciler.model.names import name_fault, sandbox_uid
from reconciler.model.observed import HostView, ImageFact, Reachable, SeenContainer, Unreachable
from reconciler.model.resource import (
    Container,
    Directory,
    File,
    Healthcheck,
    LogPolicy,
    Mount,
    Network,
    Published,
    Resource,
    Ulimit,
    Volume,
)
from reconciler.model.text import LATE_NAMES, Late, Template, Text
from tests.builders import (
    BASE_DIR,
    FLEET,
    IMAGE,
    a_container,
    a_desired,
    a_foreign,
    a_marker,
    a_neighbour,
    a_sandbox,
    a_seen,
    a_seen_marker,
    a_settled_view,
    an_exited_live,
    an_image,
    an_unreachable,
    docker_name,
)

LOWER_AND_DIGITS = string.ascii_lowercase + string.digits
MIB = 1024 * 1024

names = (
    st.text(LOWER_AND_DIGITS + "-", min_size=2, max_size=9)
    .map(lambda text: text.strip("-") + "x" if text.startswith("-") else text.rstrip("-") + "z")
    .filter(lambda text: name_fault(text) is None)
)
"""Names that specs accept."""

words = st.text(LOWER_AND_DIGITS + "._-/= ", min_size=1, max_size=12)
late_values = st.one_of(st.sampled_from(LATE_NAMES), names.map(lambda name: f"secret:{name}")).map(Late)
templates = st.lists(st.one_of(words, late_values), min_size=1, max_size=4).map(lambda parts: Template(tuple(parts)))
texts: st.SearchStrategy[Text] = st.one_of(words, templates)
"""Text, known or with gaps."""

env_names = st.text(string.ascii_uppercase + "_", min_size=1, max_size=6)
paths_inside = st.text(string.ascii_lowercase, min_size=1, max_size=5).map(lambda text: f"/{text}")
ports = st.integers(1024, 65535)

healthchecks = st.builds(
    Healthcheck,
    test=st.sampled_from([(), ("NONE",), ("CMD", "true"), ("CMD-SHELL", "test -e /ready")]),
    interval_ms=st.none() | st.integers(1, 60_000),
    timeout_ms=st.none() | st.integers(1, 60_000),
    retries=st.none() | st.integers(1, 5),
)

image_facts = st.builds(
    an_image,
    env=st.dictionaries(env_names, words, max_size=3),
    entrypoint=st.sampled_from([(), ("/entry.sh",)]),
    command=st.sampled_from([(), ("serve",), ("sleep", "1")]),
    labels=st.dictionaries(words, words, max_size=2),
    user=st.sampled_from(["", "1000", "app:app"]),
    working_dir=st.sampled_from(["", "/", "/work", "/work/"]),
    healthcheck=st.none() | healthchecks,
    stop_signal=st.none() | st.sampled_from(["SIGINT", "SIGKILL"]),
)
"""What images may bring along; never labels of ours."""


def container_fields(text: st.SearchStrategy[Text]) -> dict[str, st.SearchStrategy[Any]]:
    """Say what each field of a container may be; `text` is what may have gaps."""
    return {
        "image": st.sampled_from([IMAGE, "busybox:1.36", "registry.example/web:1.5"]),
        "entrypoint": st.none() | st.lists(text, max_size=2).map(tuple),
        "command": st.none() | st.lists(text, max_size=3).map(tuple),
        "env": st.dictionaries(env_names, text, max_size=3),
        "user": st.sampled_from([None, "1000", "app"]),
        "working_dir": st.none() | paths_inside,
        "labels": st.dictionaries(names, words, max_size=2),
        "mounts": st.dictionaries(paths_inside, st.builds(Mount, st.just("bind"), text, st.booleans()), max_size=2),
        "ports": st.dictionaries(
            ports.map(lambda port: f"{port}/tcp"),
            st.builds(Published, st.sampled_from(["127.0.0.1", "0.0.0.0"]), st.none() | ports),
            max_size=2,
        ),
        "cap_add": st.sampled_from([(), ("NET_ADMIN",), ("NET_ADMIN", "SYS_PTRACE")]),
        "read_only": st.booleans(),
        "init": st.booleans(),
        "healthcheck": st.none() | healthchecks,
        "stop_signal": st.sampled_from([None, "SIGTERM", "SIGINT"]),
        "stop_grace_s": st.integers(1, 60),
        "shm_bytes": st.sampled_from([None, MIB, 256 * MIB]),
        "ulimits": st.sampled_from([{}, {"nofile": Ulimit(1024, 4096)}]),
        "extra_hosts": st.sampled_from([{}, {"db": "10.0.0.1"}]),
        "logs": st.sampled_from([LogPolicy(), LogPolicy("local", {"max-size": "1m"})]),
        "restart": st.sampled_from(["no", "always", "unless-stopped", "on-failure:3"]),
        "cpu_nanos": st.none() | st.integers(10**8, 4 * 10**9),
        "memory_bytes": st.none() | st.integers(16 * MIB, 1024 * MIB),
        "pids": st.none() | st.integers(16, 4096),
        "run": st.sampled_from(["always", "once"]),
        "optional": st.booleans(),
    }


# Made once: making strategies inside a drawn one takes longer than drawing from them.
_LATE_FIELDS, _PLAIN_FIELDS = container_fields(texts), container_fields(words)
_SOME_FIELDS = st.lists(st.sampled_from(sorted(_LATE_FIELDS)), unique=True, max_size=6)
_FEW_NAMES = st.lists(names, unique=True, max_size=2)
_CONTAINER_NAMES = st.lists(names, unique=True, min_size=1, max_size=2)


@st.composite
def containers(draw: DrawFn, name: str | None = None, *, plain: bool = False) -> Container:
    """Draw a container that says up to six things; `plain` leaves late text out."""
    fields = _PLAIN_FIELDS if plain else _LATE_FIELDS
    said = {field: draw(fields[field]) for field in draw(_SOME_FIELDS)}
    return a_container(draw(names) if name is None else name, **said)


_SANDBOX_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "update": st.sampled_from(["stop-first", "start-first"]),
    "deletion": st.sampled_from(["Delete", "Retain"]),
    "drift": st.sampled_from(["heal", "report"]),
    "protected": st.booleans(),
    "ttl_s": st.none() | st.integers(60, 10**6),
    "labels": st.dictionaries(names, words, max_size=2),
}
_SOME_SANDBOX_FIELDS = st.lists(st.sampled_from(sorted(_SANDBOX_FIELDS)), unique=True, max_size=3)


@st.composite
def sandboxes(draw: DrawFn, name: str | None = None, *, hosts: tuple[str, ...] = ("h1",)) -> SandboxDesired:
    """Draw a sandbox with one to three containers, and directories, files, volumes and networks of its own."""
    own = draw(names) if name is None else name
    uid = sandbox_uid(FLEET, own)
    resources: list[Resource] = []
    for directory in draw(_FEW_NAMES):
        mode = draw(st.sampled_from(["0700", "0750"]))
        resources.append(Directory(name=directory, path=f"{BASE_DIR}/{uid}/{directory}", mode=mode))
    resources.extend(
        File(name=file, path=f"{BASE_DIR}/{uid}/files-{file}", content=draw(texts)) for file in draw(_FEW_NAMES)
    )
    resources.extend(Volume(name=volume) for volume in draw(_FEW_NAMES))
    networks = draw(_FEW_NAMES)
    resources.extend(Network(name=network) for network in networks)
    joined: dict[str, tuple[str, ...]] = {docker_name(own, network): () for network in sorted(networks)}
    resources.extend(replace(draw(containers(name)), networks=joined) for name in draw(_CONTAINER_NAMES))
    said = {field: draw(_SANDBOX_FIELDS[field]) for field in draw(_SOME_SANDBOX_FIELDS)}
    return a_sandbox(own, host=draw(st.sampled_from(hosts)), resources=tuple(resources), **said)


@st.composite
def fleets(draw: DrawFn, *, hosts: tuple[str, ...] = ("h1", "h2"), sandboxes_max: int = 4) -> Desired:
    """Draw a fleet of some sandboxes on some hosts."""
    drawn = draw(st.lists(names, unique=True, max_size=sandboxes_max))
    return a_desired(*(draw(sandboxes(name, hosts=hosts)) for name in drawn))


@st.composite
def drifted(draw: DrawFn, seen: SeenContainer) -> SeenContainer | None:
    """Draw what may have become of a container behind our back; None where it was removed."""
    match draw(st.sampled_from(["as it was", "gone", "exited", "changed", "renamed", "relabelled"])):
        case "gone":
            return None
        case "exited":
            return replace(seen, live=an_exited_live())
        case "changed":
            return replace(seen, spec=replace(seen.spec, memory_bytes=draw(st.integers(MIB, 64 * MIB))))
        case "renamed":
            return replace(seen, name=f"{seen.name}.tomb-1")
        case "relabelled":
            return replace(seen, labels={name: value for name, value in seen.labels.items() if "uid" not in name})
        case _:
            return seen


@st.composite
def views(draw: DrawFn, *wanted: SandboxDesired) -> HostView:
    """Draw a host on which some of `wanted` stand, drifted or not, among orphans, strangers and copies."""
    standing = [sandbox for sandbox in wanted if draw(st.booleans())]
    orphans = [a_sandbox(f"orphan-{number}") for number in range(draw(st.integers(0, 2)))]
    settled = a_settled_view(*standing, *orphans)
    kept = [draw(drifted(seen)) for seen in settled.containers]
    copies = [a_foreign("copied", labels=a_seen().labels)] if draw(st.booleans()) else []
    marked = [sandbox for sandbox in (*standing, *orphans) if draw(st.booleans())]
    return replace(
        settled,
        containers=tuple(seen for seen in (*kept, *copies) if seen is not None),
        markers=tuple(a_seen_marker(a_marker(sandbox)) for sandbox in marked),
        neighbours=tuple(a_neighbour(name) for name in draw(st.lists(names, unique=True, max_size=2))),
    )


@st.composite
def hosts_seen(draw: DrawFn, desired: Desired) -> dict[str, Reachable | Unreachable]:
    """Draw what each host of a fleet answers, or that it does not."""
    answers: dict[str, Reachable | Unreachable] = {}
    for name in sorted(desired.hosts):
        if draw(st.integers(0, 4)) == 0:
            answers[name] = an_unreachable()
        else:
            wanted = [sandbox for sandbox in desired.sandboxes.values() if sandbox.host == name]
            answers[name] = Reachable(view=draw(views(*wanted)))
    return answers


refusals = st.builds(
    NotDone, code=st.sampled_from(["E_DOCKER_REFUSED", "E_NAME_CONFLICT"]), message=words, transient=st.booleans()
)

__all__ = [
    "ImageFact",
    "containers",
    "drifted",
    "fleets",
    "healthchecks",
    "hosts_seen",
    "image_facts",
    "late_values",
    "names",
    "refusals",
    "sandboxes",
    "templates",
    "texts",
    "views",
    "words",
]
