"""Offer sandboxes of many shapes: real specs, loaded and lowered by the product, once per shape and version."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from reconciler.host.memory.parts import Behaviour
from reconciler.load import load
from reconciler.load.lower import lower
from reconciler.model.desired import Desired, HostDesired, SandboxDesired

FLEET = "lab"
HOSTS = ("h1", "h2", "h3")
NAMES = ("api", "bus", "cache", "db", "edge", "feed", "gate", "hook", "index", "jobs", "keys", "lake", "mail", "news",
         "ops")  # fmt: skip
VERSIONS = (1, 2, 3)
SICK = frozenset({"unstartable", "deaf", "crashing", "deafsurge", "absent"})
"""Shapes that can never become ready."""

BEHAVIOURS = {
    "once": Behaviour(exit_code=0, exits_after_s=2.0),
    "slow": Behaviour(ready_after=3),
    "unstartable": Behaviour(start_error="exec: no such file"),
    "deaf": Behaviour(listens=()),
    "crashing": Behaviour(exit_code=1, exits_after_s=3.0),
}
SECRET_NAME = "hub-token"
CANARY = "c4nary/5ecre7+value"

_FLEET_TEXT = f"""\
apiVersion: reconciler/v1
kind: Fleet
metadata: {{name: {FLEET}}}
spec:
  policy: {{images: ["lab/*"]}}
  secrets: {{{SECRET_NAME}: {{file: /etc/reconciler/{SECRET_NAME}}}}}
"""
_HOST_TEXT = """\
apiVersion: reconciler/v1
kind: Host
metadata: {{name: {name}}}
spec:
  address: 10.0.0.{number}
  ssh:
    user: ops
    hostKey: "ssh-ed25519 {key}"
    agent: true
  baseDir: "${{host.home}}/.reconciler/lab"
  storageRoots: {{data: /srv/data}}
"""
_KEYS = (
    "AAAAC3NzaC1lZDI1NTE5AAAAIM0mwZG+JiPWYaNJZhRKYvNLwgolLrz98NwVN0BzcZFk",
    "AAAAC3NzaC1lZDI1NTE5AAAAINJjhNQsezIZ7/8imqvD7CbaPHWyozraDVQO3IPP/mAb",
    "AAAAC3NzaC1lZDI1NTE5AAAAIJ8nNq3w8Vq0m1b8m8Zf0m0i3mJx6Yk7q4r1s2t3u4v5",
)
_SHAPES_FILE = Path(__file__).with_name("shapes.yaml")
_LATER_FILE = Path(__file__).with_name("shapes_later.yaml")
FIRST_PORT = 18_000


@functools.cache
def shapes() -> dict[str, str]:
    """Give each shape's text, by its name."""
    return _read_shapes(_SHAPES_FILE)


@functools.cache
def later_shapes() -> dict[str, str]:
    """Give the texts of the shapes that only the seeds of `later.py` have."""
    return _read_shapes(_LATER_FILE)


def _read_shapes(file: Path) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in file.read_text().splitlines():
        if line.startswith("#"):
            continue
        if not line.startswith(" "):
            name = line.removesuffix(":")
            found[name] = []
        else:
            found[name].append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def image_names() -> list[tuple[str, str]]:
    """List every image that a shape names, with the word of its name that says how it behaves."""
    words = ("app", "once", "slow", "unstartable", "deaf", "crashing")
    return [(f"lab/{word}:{version}", word) for word in words for version in VERSIONS]


def hosts() -> dict[str, HostDesired]:
    """Give the hosts that the catalogue's sandboxes may lie on."""
    return _lowered("plain", 1).hosts


def blank() -> Desired:
    """Give a fleet without sandboxes, to be filled."""
    return _lowered("plain", 1)


def sandbox(name: str, *, shape: str, version: int) -> SandboxDesired:
    """Give one sandbox as the loader lowers it; its host is to be chosen."""
    return _lowered(shape, version).sandboxes[name]


@functools.cache
def _lowered(shape: str, version: int) -> Desired:
    """Write a spec folder in which every name has this shape, and load it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "fleet.yaml").write_text(_FLEET_TEXT)
        hosts_text = [_HOST_TEXT.format(name=name, number=n + 1, key=_KEYS[n]) for n, name in enumerate(HOSTS)]
        (place / "hosts.yaml").write_text("---\n".join(hosts_text))
        documents = []
        for number, name in enumerate(NAMES):
            body = (
                (shapes() | later_shapes())[shape].replace("@V@", str(version)).replace("@P@", str(FIRST_PORT + number))
            )
            head = f"apiVersion: reconciler/v1\nkind: Sandbox\nmetadata: {{name: {name}}}\nspec:\n  host: h1\n"
            documents.append(f"{head}{body}\n")
        (place / "sandboxes.yaml").write_text("---\n".join(documents))
        return lower(load(place, cache=False))
