"""Find the daemons of a host on this machine, or fetch them from Debian's archive into a cache folder.

Two generations of the engine can be had side by side: `bookworm` (docker.io 20.10) and `trixie` (docker.io
26.1, with the compose plugin); `path` is whatever the machine has.
"""

import fcntl
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tests.lab.apt import Suite, missing_libraries
from tests.lab.missing import LabMissing

Generation = Literal["path", "bookworm", "trixie"]
GENERATIONS: tuple[Generation, ...] = get_args(Generation)

_FORMAT = 2  # raise it when the tables below change, so that old caches are filled anew
MACHINE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BIN_FOLDERS = ("usr/sbin", "usr/bin", "sbin", "bin")
_ENGINE_PROGRAMS = ("dockerd", "docker", "containerd", "containerd-shim-runc-v2", "runc", "docker-proxy")
_PATH_PROGRAMS = ("dockerd", "containerd", "runc", "sshd", "busybox")
_TOOLS: Mapping[str, str] = {
    "sshd": "openssh-server",
    "busybox": "busybox-static",
    "ip": "iproute2",
    "strace": "strace",
}
_REGISTRY = "docker-registry"
# Suite -> packages. Debian 12's runc serves both generations; tini is what `init: true` runs in a container.
_ENGINES: Mapping[Generation, Mapping[str, Sequence[str]]] = {
    "bookworm": {"bookworm": ("docker.io", "containerd", "runc", "tini")},
    "trixie": {
        "trixie": ("docker.io", "docker-cli", "containerd", "docker-compose"),
        "bookworm": ("runc", "tini"),
    },
}


@dataclass(frozen=True, kw_only=True)
class Programs:
    """Name the programs of one generation: a search path, a library path, and the folder that was unpacked."""

    generation: Generation
    path: str
    library_path: str
    root: Path | None

    def find(self, name: str) -> Path:
        """Return the full path of a program. Errors: `LabMissing`."""
        found = shutil.which(name, path=self.path)
        if found is None:
            raise LabMissing(f"`{name}` is missing: not on {self.path}")
        return Path(found)

    @property
    def env(self) -> dict[str, str]:
        """Return the environment in which these programs run; nothing of the caller's own is passed on."""
        env = {"PATH": self.path, "LANG": "C.UTF-8"}
        return {**env, "LD_LIBRARY_PATH": self.library_path} if self.library_path else env


def cache_folder() -> Path:
    """Return where fetched packages and images are kept: `$RECONCILER_LAB_CACHE`, else `~/.cache/reconciler-lab`."""
    named = os.environ.get("RECONCILER_LAB_CACHE")
    return (Path(named) if named else Path.home() / ".cache/reconciler-lab").absolute()


def default_generation() -> Generation:
    """Return `path` where this machine has every daemon, else `bookworm`."""
    path = _machine_path()
    return "path" if all(shutil.which(name, path=path) for name in _PATH_PROGRAMS) else "bookworm"


def is_here(generation: Generation) -> bool:
    """Tell whether the programs of a generation are here, so that none has to be fetched."""
    return all(_is_filled(cache_folder() / name) for name in _sets(generation))


def _sets(generation: Generation) -> list[str]:
    """Name the sets of packages that a generation is made of."""
    return ["tools"] if generation == "path" else ["tools", generation]


def programs(generation: Generation) -> Programs:
    """Return the programs of a generation, fetching what is not here yet. Errors: `LabMissing`.

    Safe when several processes ask at once. About 1 ms when all is here.
    """
    folders = [_filled(name) for name in _sets(generation)]
    bins = [folder / "root" / part for folder in reversed(folders) for part in _BIN_FOLDERS]
    libraries = [path for folder in folders for path in _library_folders(folder) if path.is_dir()]
    found = Programs(
        generation=generation,
        path=":".join([*(str(path) for path in bins if path.is_dir()), _machine_path()]),
        library_path=":".join(str(path) for path in libraries) if _needs_libraries(folders) else "",
        root=None if generation == "path" else folders[-1] / "root",
    )
    if generation == "path":
        for name in _PATH_PROGRAMS:
            found.find(name)
    return found


def tools() -> Programs:
    """Return the programs that tests use besides engines, fetching what is not here yet. Errors: `LabMissing`."""
    folder = _filled("tools")
    bins = [folder / "root" / part for part in _BIN_FOLDERS]
    return Programs(
        generation="path",
        path=":".join([*(str(path) for path in bins if path.is_dir()), _machine_path()]),
        library_path=":".join(str(path) for path in _library_folders(folder)) if _needs_libraries([folder]) else "",
        root=None,
    )


def registry() -> Path:
    """Return the program that serves images, fetching it where it is not here yet. Errors: `LabMissing`."""
    found = shutil.which(_REGISTRY, path=_machine_path())
    return Path(found) if found else _filled("registry") / f"root/usr/bin/{_REGISTRY}"


def rsync() -> Programs:
    """Return where rsync and the libraries that it misses here are, fetching them. Errors: `LabMissing`.

    Not among the tools: most hosts of a lab have none, so that both ways of sending a tree are tried.
    """
    folder = _filled("rsync")
    return Programs(
        generation="path",
        path=str(folder / "root/usr/bin"),
        library_path=":".join(str(path) for path in _library_folders(folder)) if _needs_libraries([folder]) else "",
        root=folder / "root",
    )


def _machine_path() -> str:
    folders = f"{os.environ.get('PATH', '')}:{MACHINE_PATH}".split(":")
    return ":".join(dict.fromkeys(folder for folder in folders if folder))


def _filled(name: str) -> Path:
    """Return the cache's folder for one set of packages, filled."""
    folder = cache_folder() / name
    if not _is_filled(folder):
        with _alone():
            if not _is_filled(folder):
                _fill(folder, name)
    return folder


def _is_filled(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / "filled.json").read_text())["format"] == _FORMAT)
    except (FileNotFoundError, ValueError, KeyError):
        return False


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the cache's lock: the second process waits, then finds everything there."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(folder: Path, name: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "root"
    root.mkdir(parents=True)
    match name:
        case "tools":
            missing = _fetch_tools(root)
        case "rsync":
            missing = _fetch(_suite("bookworm"), ["rsync"], root)
        case "registry":
            missing = _fetch(_suite("bookworm"), [_REGISTRY], root)
        case _:
            missing = _fetch_engine(name, root)
    stamp = {"format": _FORMAT, "needs_libraries": missing}
    partial = folder / "filled.json.partial"
    partial.write_text(json.dumps(stamp))
    partial.rename(folder / "filled.json")


def _fetch_tools(root: Path) -> bool:
    path = _machine_path()
    wanted = sorted({package for name, package in _TOOLS.items() if shutil.which(name, path=path) is None})
    return bool(wanted) and _fetch(_suite("bookworm"), wanted, root)


def _fetch_engine(name: str, root: Path) -> bool:
    suites = next(suites for generation, suites in _ENGINES.items() if generation == name)
    needed = [_fetch(_suite(suite), packages, root) for suite, packages in suites.items()]
    path = ":".join(str(root / part) for part in _BIN_FOLDERS)
    for program in _ENGINE_PROGRAMS:
        if shutil.which(program, path=path) is None:
            raise LabMissing(f"Debian's packages for {name} brought no `{program}`: the archive has changed")
    return any(needed)


def _suite(name: str) -> Suite:
    suite = Suite(name, cache_folder() / "apt" / name)
    suite.refresh()
    return suite


def _fetch(suite: Suite, packages: Sequence[str], root: Path) -> bool:
    """Fetch packages, then the libraries that their programs miss on this machine; say whether there were any."""
    suite.fetch(packages, into=root)
    path = ":".join(str(folder) for folder in _library_folders(root.parent))
    level, fetched = list(packages), set(packages)
    while missing := missing_libraries(_binaries(root), library_path=path):
        level = [library for library in suite.libraries(level) if library not in fetched]
        if not level:
            raise LabMissing(f"no package of {suite.name} brings {', '.join(sorted(missing))}")
        suite.fetch(level, into=root)
        fetched.update(level)
    return len(fetched) > len(packages)


def _binaries(root: Path) -> list[Path]:
    folders = [root / part for part in _BIN_FOLDERS]
    files = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    return [path for path in files if path.is_file() and not path.is_symlink()]


def _library_folders(folder: Path) -> list[Path]:
    triplet = f"{platform.machine()}-linux-gnu"
    return [folder / "root" / part / triplet for part in ("usr/lib", "lib")]


def _needs_libraries(folders: Sequence[Path]) -> bool:
    return any(json.loads((folder / "filled.json").read_text())["needs_libraries"] for folder in folders)
