"""Hold what one effect needs of a Docker engine: its reader, its writer, and the proof that a target is ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from reconciler.errors import ConnectFailed, HostError
from reconciler.host.decode import decode_container, decode_image, decode_networks
from reconciler.host.foreign import DockerRefused
from reconciler.model import labels as label
from reconciler.model.effect import Existing, Made, NotDone, Target
from reconciler.model.names import is_full_id, parse_derived, sandbox_uid
from reconciler.model.observed import ImageFact, SeenContainer, SeenNetwork
from reconciler.model.ownership import Ours, prove_labels

if TYPE_CHECKING:
    from reconciler.host.docker import DockerReader
    from reconciler.host.docker_writer import DockerWriter, RegistryLogin
    from reconciler.host.interface import Progress

_SERVER_ERROR = 500

T = TypeVar("T")


class Engine:
    """Do one effect with one engine.

    Attributes:
        host: its name, for messages.
        read, write: its clients.
        sent: whether a change of this effect reached the engine, or may have: then no failure can mean "not done".
    """

    def __init__(
        self,
        host: str,
        *,
        read: DockerReader,
        write: DockerWriter,
        images: dict[str, ImageFact],
        logins: tuple[RegistryLogin, ...] = (),
        progress: Progress | None = None,
    ) -> None:
        self.host = host
        self.read = read
        self.write = write
        self.logins = logins
        self.sent = False
        self._images = images
        self._progress: Callable[[str], None] | None = progress

    def report(self, line: str) -> None:
        """Tell people how far a long effect is."""
        if self._progress is not None:
            self._progress(line)

    async def send(self, call: Awaitable[T]) -> T:
        """Send one change, and remember whether it reached the engine. Raises what the writer raises."""
        try:
            answer = await call
        except ConnectFailed:
            raise
        except DockerRefused as refused:
            self.sent = self.sent or refused.status >= _SERVER_ERROR
            raise
        except HostError:
            self.sent = True
            raise
        self.sent = True
        return answer

    async def find(self, name_or_id: str) -> SeenContainer | None:
        """Inspect one container by its exact name or full id; one that only matches in part is not it."""
        raw = await self.read.inspect_container(name_or_id)
        if raw is None:
            return None
        seen = decode_container(raw, host=self.host)
        return seen if name_or_id in (seen.full_id, seen.name) else None

    async def image(self, reference: str) -> ImageFact | None:
        """Inspect one image by reference or id; None when the engine has none. Ids never change their meaning."""
        if reference in self._images:
            return self._images[reference]
        raw = await self.read.inspect_image(reference)
        if raw is None:
            return None
        fact = decode_image(raw, host=self.host)
        self._images[fact.id] = fact
        return fact

    async def networks(self, name: str) -> tuple[SeenNetwork, ...]:
        """Give every network of this name: Docker lets two have one."""
        found = decode_networks(await self.read.list_networks(), host=self.host)
        return tuple(network for network in found if network.name == name)

    async def target(self, target: Target) -> SeenContainer | NotDone:
        """Read a target again, and prove that it still is the container that was meant, and ours."""
        if isinstance(target, Made):
            return unresolved(target)
        if not is_full_id(target.full_id):
            return NotDone("E_TARGET_ID", f"{target.full_id!r} is no full container id", "plan again")
        seen = await self.find(target.full_id)
        if seen is None:
            return NotDone("E_TARGET_GONE", f"host {self.host}: the container {target.name} is gone", "plan again")
        if seen.name != target.name:
            return NotDone(
                "E_TARGET_CHANGED",
                f"host {self.host}: the container {seen.full_id} is called {seen.name} now, not {target.name}",
                "plan again",
            )
        why = await self._doubt(seen, target)
        if why is not None:
            return NotDone(
                "E_TARGET_CHANGED", f"host {self.host}: {target.name} is not touched: {why}", "find out who made it"
            )
        return seen

    async def _doubt(self, seen: SeenContainer, target: Existing) -> str | None:
        """Say why a container is not proved to belong to the target's sandbox, or None."""
        if not carries_ours(seen.labels):
            # An adopted one has no labels of ours: its full id, which a marker named, and its derived name do.
            name = parse_derived(seen.name)
            derived = None if name is None else sandbox_uid(name.fleet, name.sandbox)
            return None if derived == target.uid else f"neither its labels nor its name say that it is {target.uid}'s"
        image = await self.image(seen.image_id)
        if image is None:
            return f"its image {seen.image_id} cannot be read, so its labels may be the image's"
        if carries_ours(image.labels):
            return "its image carries labels of the reconciler, so its own prove nothing"
        return doubt_labels(seen.name, seen.labels, uid=target.uid)


def unresolved(target: Made) -> NotDone:
    """Refuse a target that is known by its name alone: whoever made the container knows its full id."""
    return NotDone("E_UNRESOLVED", f"{target.name} is named without its full id, so nothing was sent", "plan again")


def carries_ours(labels: dict[str, str]) -> bool:
    """Tell whether any label begins with our prefix."""
    return any(name.startswith(label.PREFIX) for name in labels)


def doubt_labels(name: str, labels: dict[str, str], *, uid: str) -> str | None:
    """Say why labels do not prove that an object of this name belongs to the sandbox with this uid, or None."""
    proof = prove_labels(name, labels, fleet=labels.get(label.PREFIX + "fleet", ""))
    if not isinstance(proof, Ours) or proof.labels is None:
        return f"its labels and its name {name!r} do not prove that it belongs to {uid}"
    return None if proof.labels.uid == uid else f"its labels say that it belongs to {proof.labels.uid}, not to {uid}"


def same_owner(one: dict[str, str], other: dict[str, str]) -> bool:
    """Tell whether two sets of labels name the same resource of the same sandbox of the same fleet."""
    return all(one.get(label.PREFIX + name) == other.get(label.PREFIX + name) for name in _OWNER)


def same_attempt(one: dict[str, str], other: dict[str, str]) -> bool:
    """Tell whether both were written by the same step of the same pass."""
    attempt = one.get(label.PREFIX + "attempt")
    return attempt is not None and attempt == other.get(label.PREFIX + "attempt") and same_owner(one, other)


_OWNER = ("fleet", "sandbox", "uid", "kind", "resource")
