"""Judge what a container is to be given of a host, where only the host can tell what a path means.

The policy has judged the paths that specs name. A link in one of them would lead the engine elsewhere, and where a
base folder below a home lies is known here alone. This holds at the moment of creation: whoever may write beside a
source can exchange it later, and the engine follows links at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import ReadFailed
from reconciler.host.scripts import load_script
from reconciler.host.shell import read_script
from reconciler.model.effect import CreateContainer, NotDone
from reconciler.model.labels import PREFIX
from reconciler.model.mounting import exposed_by
from reconciler.model.text import plain, printable

if TYPE_CHECKING:
    from reconciler.host.shell import Shell

_DEADLINE_S = 30.0
_CODE = "E_POLICY_MOUNT"
REAL_HINT = "a symbolic link is never followed: name the real path, which the Fleet's policy then judges"
_OURS_HINT = "mount a folder that holds nothing else, or use directories"
_CLOSED_HINT = "let the SSH user enter the folders above it"


async def doubt_sources(shell: Shell, effect: CreateContainer, *, base_dir: str) -> NotDone | None:
    """Say why one of a container's host paths may not be mounted, or None; one round trip where there are any.

    Raises:
        ReadFailed, ConnectFailed: the host did not say; nothing was sent.
    """
    sources = sorted({plain(mount.source) for mount in effect.container.mounts.values() if mount.kind == "bind"})
    if not sources:
        return None
    uid = effect.labels.get(f"{PREFIX}uid", "")
    for source in sources:
        exposed = exposed_by(source, base_dir=base_dir, uid=uid)
        if exposed is not None:
            return _refused(effect, source, exposed, _OURS_HINT)
    for source, word in (await ask_sources(shell, sources)).items():
        if word == "closed":
            return _refused(effect, source, "it cannot be looked at, so it may be a link to anything", _CLOSED_HINT)
        if word != "same":
            return _refused(effect, source, f"by a symbolic link it means {word.removeprefix('else ')}", REAL_HINT)
    return None


async def ask_sources(shell: Shell, sources: list[str]) -> dict[str, str]:
    """Ask what paths really are: `same`, `else PATH` behind a link, or `closed` to us.

    Raises:
        ReadFailed, ConnectFailed: the host did not say.
    """
    done = await read_script(shell, load_script("sources"), args=tuple(sources), deadline_s=_DEADLINE_S)
    said = done.lines
    if done.exit_status != 0 or len(said) != len(sources) + 1 or said[-1] != "END":
        raise ReadFailed(f"host {shell.host}: it did not say what the sources of mounts are", code="E_HOST_REPLY")
    return dict(zip(sources, said, strict=False))


def _refused(effect: CreateContainer, source: str, why: str, hint: str) -> NotDone:
    message = f"{effect.name} was not created: {source} of the host is not mounted: {why}"
    return NotDone(_CODE, printable(message), hint)
