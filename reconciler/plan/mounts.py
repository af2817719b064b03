"""Hold what would be given a folder of the host that no container may have: only the host tells where these lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model.mounting import exposed_by, exposed_of_docker
from reconciler.model.observed import HostIdentity
from reconciler.model.resource import Container
from reconciler.model.text import bind
from reconciler.plan.assessment import Trouble


def mount_trouble(
    containers: Iterable[Container], *, uid: str, identity: HostIdentity, bindings: Mapping[str, str]
) -> Trouble | None:
    """Say why one of these containers may not be made, or None."""
    for container in containers:
        for target, mount in sorted(container.mounts.items()):
            source = str(bind(mount.source, bindings))
            exposed = mount.kind == "bind" and (
                exposed_by(source, base_dir=identity.base_dir, uid=uid)
                or exposed_of_docker(source, docker_root=identity.docker_root)
            )
            if exposed:
                return Trouble(
                    "PolicyMount",
                    f"containers.{container.name}.mounts.{target}: {source} of the host is not mounted: {exposed}",
                    "mount a folder that holds nothing else, or use directories",
                )
    return None
