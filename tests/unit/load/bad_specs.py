"""Build spec folders for tests: a valid whole, of which a test breaks one part."""

from __future__ import annotations

from pathlib import Path

from reconciler.load import load
from reconciler.load.documents import Documents
from reconciler.model.problem import Problem, SpecInvalid

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"

FLEET = "apiVersion: reconciler/v1\nkind: Fleet\nmetadata: {name: lab}\n"


def host(
    name: str = "h1",
    *,
    address: str = "10.0.0.1",
    user: str = "ops",
    key: str | None = KEY,
    ssh: str = "",
    rest: str = "",
) -> str:
    pinned = f'hostKey: "{key}", ' if key is not None else ""
    return (
        f"apiVersion: reconciler/v1\nkind: Host\nmetadata: {{name: {name}}}\nspec:\n  address: {address}\n"
        f"  ssh: {{user: {user}, {pinned}agent: true{ssh}}}\n  storageRoots: {{data: /srv/data}}\n{rest}"
    )


def sandbox(name: str = "web", *, container: str = "image: web:1", rest: str = "", on: str = "h1") -> str:
    return (
        f"apiVersion: reconciler/v1\nkind: Sandbox\nmetadata: {{name: {name}}}\nspec:\n  host: {on}\n"
        f"  containers:\n    main:\n      {container}\n{rest}"
    )


def problems(folder: Path, **files: str | bytes) -> tuple[Problem, ...]:
    """Load a Fleet and these files (`name="text"` is written as `name.yaml`), and give what is wrong."""
    write(folder, fleet=FLEET, **files)
    try:
        load(folder, cache=False)
    except SpecInvalid as invalid:
        return invalid.problems
    return ()


def documents(folder: Path, **files: str | bytes) -> Documents:
    write(folder, **{"fleet": FLEET, **files})
    return load(folder, cache=False)


def write(folder: Path, **files: str | bytes) -> None:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())


def codes(found: tuple[Problem, ...]) -> set[str]:
    return {problem.code for problem in found}
