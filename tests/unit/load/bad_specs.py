"""Build spec folders for tests: a valid whole, of which a test breaks one part."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

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
    write(folder, **{"fleet": FLEET, **files})
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


class Case(NamedTuple):
    """Hold one numbered bad input: the files, the code that they must get, and words of its message or hint."""

    number: int
    what: str
    files: dict[str, str | bytes]
    code: str
    says: str = ""

    def __str__(self) -> str:
        return f"{self.number:02}-{self.what[:40]}"

    def check(self, folder: Path) -> None:
        """Load the files; every problem has a place and can be printed, and one is the wanted one."""
        found = problems(folder, **self.files)
        assert self.code in codes(found), found
        wanted = [problem for problem in found if problem.code == self.code]
        assert any(self.says in f"{problem.message} {problem.hint}" for problem in wanted), wanted
        for problem in found:
            assert problem.at.line > 0 or problem.code in {"E_SPEC_SIZE", "E_ENCODING"}, problem
            said = f"{problem.message}{problem.hint}{problem.field}"
            assert "Traceback" not in said
            assert said.isprintable(), said
            assert "hunter2" not in said.lower()


def in_container(text: str) -> dict[str, str | bytes]:
    """Give a host and a sandbox whose container holds `text` besides its image."""
    return {"h": host(), "s": sandbox(container=f"image: web:1\n      {text}")}
