"""Hold what one effect needs of a Docker engine: its reader, its writer, and the proof that a target is ours."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.errors import ConnectFailed, HostError
from reconciler.host.docker.decode import decode_container, decode_image, decode_networks
from reconciler.host.foreign import DockerRefused
from reconciler.host.shell import lock_lost
from reconciler.model.effect import Made, NotDone, Target
from reconciler.model.legacy import doubt_legacy
from reconciler.model.names import is_full_id
from reconciler.model.observed import ImageFact, SeenContainer, SeenNetwork
from reconciler.model.ownership import doubt_container

if TYPE_CHECKING:
    from reconciler.host.docker.reader import DockerReader
    from reconciler.host.docker.registry import RegistryLogin
    from reconciler.host.docker.writer import DockerWriter
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
        is_held: Callable[[], bool],
        logins: tuple[RegistryLogin, ...] = (),
        progress: Progress | None = None,
    ) -> None:
        self.host = host
        self.read = read
        self.write = write
        self.logins = logins
        self.sent = False
        self._images = images
        self._is_held = is_held
        self._progress: Callable[[str], None] | None = progress

    def report(self, line: str) -> None:
        """Tell people how far a long effect is."""
        if self._progress is not None:
            self._progress(line)

    async def send(self, call: Coroutine[Any, Any, T]) -> T:
        """Send one change, and remember whether it reached the engine.

        Raises:
            ConnectFailed: `E_NO_LEASE` when the host's lock was lost since the effect began; nothing is sent.
            HostError: what the writer raises.
        """
        if not self._is_held():
            call.close()
            raise lock_lost(self.host)
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
        if target.project:
            why = doubt_legacy(seen, project=target.project)
        else:
            why = doubt_container(seen, await self.image(seen.image_id), uid=target.uid)
        if why is not None:
            return NotDone(
                "E_TARGET_CHANGED", f"host {self.host}: {target.name} is not touched: {why}", "find out who made it"
            )
        return seen


def unresolved(target: Made) -> NotDone:
    """Refuse a target that is known by its name alone: whoever made the container knows its full id."""
    return NotDone("E_UNRESOLVED", f"{target.name} is named without its full id, so nothing was sent", "plan again")
