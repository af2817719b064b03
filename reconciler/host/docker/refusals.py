"""Say what the engine's "no" means: a stable code, its own words, and what to do. Pure.

The engine has no codes of its own, so its words are all there is; they are those of Docker 20.10 and 26.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.host.foreign import DockerRefused
from reconciler.model.effect import NotDone
from reconciler.model.text import head_of, printable

WORDS_MAX = 500

_PORT_WORDS = (
    re.compile(r"Bind for (?P<port>\S+:\d+) failed: port is already allocated"),
    re.compile(r"listen (?:tcp|udp|sctp)[46]? (?P<port>\S+:\d+): bind: address already in use"),
    re.compile(r"(?P<port>[\d.]+:\d+).{0,80}(?:address already in use|port is already allocated)"),
)
_DISK = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_NO_IMAGE = re.compile(r"No such image: ?(?P<image>\S+)")
_NO_SOURCE = re.compile(r"bind source path does not exist: (?P<path>.+)")
_NO_NETWORK = re.compile(r"network (?P<network>\S+) not found")
_NO_DRIVER = re.compile(r"could not select device driver .{0,80}gpu")
_NO_PASS = re.compile(
    r"unauthorized|authentication required|denied: |access to the resource is denied|no basic auth", re.IGNORECASE
)
_LATER = re.compile(
    r"toomanyrequests|timeout|timed out|connection refused|connection reset|no such host|temporary failure|"
    r"unexpected EOF|EOF$|short read|broken pipe|layer verification failed|"
    r"50\d (?:Bad Gateway|Service Unavailable|Gateway)|network is unreachable|i/o error",
    re.IGNORECASE,
)


def words_of(refused: DockerRefused) -> str:
    """Give the engine's own words, without the call that they answered, made harmless for a terminal."""
    return head_of(printable(refused.message.split(": ", 2)[-1].strip()), WORDS_MAX)


def explain(refused: DockerRefused, *, what: str, also: str = "", otherwise: str = "E_DOCKER_REFUSED") -> NotDone:
    """Say why the engine refused, where nothing was changed.

    Args:
        refused: its answer.
        what: what did not happen, for people, e.g. `sbx-lab.web.main did not start`.
        also: what else it said, e.g. a container's `State.Error`.
        otherwise: the code when its words are none that we know.
    """
    words = words_of(refused)
    more = head_of(printable(also), WORDS_MAX)
    text = f"{words}\n{more}"
    for pattern in _PORT_WORDS:
        if found := pattern.search(text):
            return NotDone(
                "E_PORT_CONFLICT",
                f"{what}: {found['port']} is taken on the host",
                "find who listens there (`ss -ltnp`), or publish another port; if Docker picked this one, apply again",
            )
    if _DISK.search(text):
        return NotDone(
            "E_HOST_DISK",
            f"{what}: the disk of the host is full",
            "free space there, e.g. `docker image prune`",
            transient=True,
        )
    if found := _NO_IMAGE.search(text):
        return NotDone("E_IMAGE", f"{what}: there is no image {found['image']} on the host", "plan and apply again")
    if found := _NO_SOURCE.search(text):
        return NotDone(
            "E_MOUNT_MISSING",
            f"{what}: its mount's source {found['path'].strip()} is not there on the host",
            "declare it under `directories`, or make it there: nothing is made by accident",
        )
    if found := _NO_NETWORK.search(text):
        return NotDone("E_NETWORK_ABSENT", f"{what}: there is no network {found['network']}", "plan and apply again")
    if _NO_DRIVER.search(text):
        return no_gpu_driver(what)
    said = words or more or f"HTTP status {refused.status}"
    transient = otherwise == "E_DOCKER_REFUSED" and refused.transient
    return NotDone(otherwise, f"{what}: {said}", transient=transient)


def no_gpu_driver(what: str) -> NotDone:
    """Say that an engine cannot lend GPUs."""
    return NotDone(
        "E_GPU_DRIVER",
        f"{what}: the engine there has no driver that lends GPUs",
        'install the NVIDIA Container Toolkit on that host and restart its Docker, or set gpu: {policy: "off"}',
    )


def explain_pull(refused: DockerRefused, reference: str) -> NotDone:
    """Say why an image could not be pulled, and whether a later try may succeed."""
    words = words_of(refused)
    what = f"the image {reference} could not be pulled"
    if _DISK.search(words):
        return explain(refused, what=what)
    if _NO_PASS.search(words):
        return NotDone(
            "E_IMAGE", f"{what}: {words}", "does it exist, and does the Fleet's `registries` let this host read it?"
        )
    if _LATER.search(words):
        return NotDone(
            "E_IMAGE", f"{what}: {words}", "is its registry up, and reachable from the host?", transient=True
        )
    return NotDone("E_IMAGE", f"{what}: {words}", "check the reference, and the host's architecture")


_KILOBYTES_UP_TO = 5_000_000


class PullProgress:
    """Add up what the engine reports of a pull's layers, into one short line for people."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        self._said = ""

    def line(self, document: Mapping[str, object]) -> str | None:
        """Take one of the engine's documents; give a line when there is something new to say."""
        layer, detail = document.get("id"), document.get("progressDetail")
        if not isinstance(layer, str) or not isinstance(detail, Mapping) or document.get("status") != "Downloading":
            return None
        current, total = detail.get("current"), detail.get("total")
        if isinstance(current, int) and isinstance(total, int) and 0 <= current <= total:
            self._layers[layer] = (current, total)
        done = sum(current for current, _ in self._layers.values())
        whole = sum(total for _, total in self._layers.values())
        unit, size = ("MB", 1_000_000) if whole >= _KILOBYTES_UP_TO else ("kB", 1000)
        said = f"pulling {done // size}/{whole // size} {unit}"
        if said == self._said:
            return None
        self._said = said
        return said
