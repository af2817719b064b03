"""Name a compose project and what it is held to, and make the services of a resolved compose file ours."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.model.labels import Labels, to_docker
from reconciler.model.names import SERVICES, project_name, sandbox_uid

Model = dict[str, Any]
"""What `docker compose config --format json` prints, decoded."""


class ComposePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Say what a compose file may ask of a host: the Fleet's policy, with what it lifts for the sandbox's profile.

    Attributes:
        images: patterns of allowed references.
        mounts: host folders that may be mounted, with what is below.
        host_network, host_ipc, cap_add, devices: denials that are lifted.
        hardened: every service loses all capabilities and may gain no privileges; writable_root spares the last part
            of that, a root filesystem that nothing writes to.
    """

    images: tuple[str, ...] = ("*",)
    mounts: tuple[str, ...] = ()
    host_network: bool = False
    host_ipc: bool = False
    cap_add: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    hardened: bool = False
    writable_root: bool = False


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """Name one compose project on one host, and what it is held to.

    Attributes:
        fleet, sandbox: whose it is; origin: `spec`, or `adhoc` for what a command wants.
        folder: of the host, in which its file is resolved; services: those that the file names.
        base_dir, docker_root: folders of the host that nobody is given.
    """

    fleet: str
    sandbox: str
    origin: str
    folder: str
    services: tuple[str, ...]
    policy: ComposePolicy
    base_dir: str
    docker_root: str

    @property
    def name(self) -> str:
        """Give the project's name."""
        return project_name(self.fleet, self.sandbox)

    @property
    def uid(self) -> str:
        """Give the sandbox's uid."""
        return sandbox_uid(self.fleet, self.sandbox)


def ours(model: Model, project: Project) -> Model:
    """Give a judged model with our labels on everything in it, and hardened where the policy says so.

    Labels are the same each time: another one would replace a container that is as it should be.
    """
    services = {name: _our_service(name, dict(one), project) for name, one in model["services"].items()}
    return {**model, "services": services} | {
        kind: {name: _labelled(kind, name, dict(one or {}), project) for name, one in (model.get(kind) or {}).items()}
        for kind in ("networks", "volumes")
        if model.get(kind)
    }


def images_of(model: Model) -> tuple[str, ...]:
    """Name the images that a judged model needs, sorted."""
    return tuple(sorted({str(one["image"]) for one in model["services"].values()}))


def _our_service(name: str, service: Model, project: Project) -> Model:
    if project.policy.hardened:
        service |= {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
        if not project.policy.writable_root:
            service["read_only"] = True
    return _labelled(SERVICES, name, service, project)


def _labelled(kind: str, name: str, part: Model, project: Project) -> Model:
    labels = Labels(
        fleet=project.fleet,
        sandbox=project.sandbox,
        uid=project.uid,
        kind=kind,
        resource=name,
        digest="none",
        generation=1,
        revision="none",
        run="none",
        attempt="none",
        origin=project.origin,
    )
    return {**part, "labels": {**(part.get("labels") or {}), **to_docker(labels)}}
