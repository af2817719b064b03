"""Find the peers, or fetch them into a cache of the bench's own: PyPI in venvs, Debian packages unpacked."""

import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.bench.row import Missing
from tests.lab.apt import Suite
from tests.lab.command import run
from tests.lab.missing import LabError
from tests.lab.packages import Programs, programs

_FORMAT = "1"  # raise it when the lists below change, so that old caches are filled anew
_ANSIBLE = ("ansible-core==2.19.14", "docker==7.2.0", "requests==2.34.2")
_COLLECTIONS = "ansible==12.3.0"  # the collections of that core; only two of them are unpacked
_COLLECTIONS_USED = ("ansible_collections/community/docker/", "ansible_collections/community/library_inventory")
_REMOTE_MODULES = ("requests", "urllib3", "idna", "certifi", "charset_normalizer")
_PYINFRA = ("pyinfra==3.10.0",)
_COMPOSE_V1 = (
    "docker-compose", "python3-attr", "python3-certifi", "python3-chardet", "python3-distro", "python3-docker",
    "python3-dockerpty", "python3-docopt", "python3-dotenv", "python3-idna", "python3-jsonschema",
    "python3-pkg-resources", "python3-pyrsistent", "python3-requests", "python3-six", "python3-texttable",
    "python3-urllib3", "python3-websocket", "python3-yaml",
)  # fmt: skip
_COMPOSE_V1_START = "import sys; from compose.cli.main import main; sys.argv[0] = 'docker-compose'; sys.exit(main())"
NOT_HERE = (
    Missing(
        name="terraform plan",
        why="no package of PyPI or Debian brings it, and the bench fetches from nowhere else",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Tool:
    """Name an installed peer: the words that start it, its version, and what its environment needs."""

    argv: tuple[str, ...]
    version: str
    env: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class AnsibleTools:
    """Hold Ansible: its programs, where its collections are, and the modules that hosts need for Docker."""

    folder: Path
    version: str
    collections: Path
    remote_modules: tuple[Path, ...]

    def program(self, name: str) -> str:
        """Give the path of one of its programs."""
        return str(self.folder / "bin" / name)


class Peers:
    """Hold the peers; each is fetched when it is first asked for. Errors: `LabError`."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self._cache = Path(os.environ.get("RECONCILER_BENCH_CACHE") or Path.home() / ".cache/reconciler-bench")

    @cached_property
    def ssh(self) -> Tool:
        """Give OpenSSH's client."""
        found = shutil.which("ssh")
        root = None if found else self._debian("openssh-client", ("openssh-client",))
        path = found or str(self._debian_program(root, "ssh"))
        return Tool(argv=(path,), version=_words(f"{path} -V 2>&1"), env={})

    @cached_property
    def engines(self) -> Programs:
        """Give the newer generation of Docker's command line, with compose v2 as its plugin."""
        return programs("trixie")

    @cached_property
    def docker(self) -> Tool:
        """Give Docker's command line."""
        path = str(self.engines.find("docker"))
        return Tool(argv=(path,), version=_words(f"{path} --version"), env=self._engine_env)

    @cached_property
    def compose_v2(self) -> Tool:
        """Give compose v2, started as the program that it is, without Docker's command line before it."""
        root = self.engines.root
        found = sorted(root.rglob("cli-plugins/docker-compose")) if root is not None else []
        if not found:
            raise LabError("Debian's trixie suite brought no docker-compose plugin")
        return Tool(argv=(str(found[0]),), version=_words(f"{found[0]} version"), env=self._engine_env)

    @cached_property
    def compose_v1(self) -> Tool:
        """Give compose v1 of Debian 12, run by the machine's own Python."""
        root = self._debian("compose-v1", _COMPOSE_V1)
        env = {"PYTHONPATH": str(root / "usr/lib/python3/dist-packages"), "PYTHONDONTWRITEBYTECODE": ""}
        argv = ("/usr/bin/python3", "-W", "ignore", "-c", _COMPOSE_V1_START)
        said = run([*argv, "version", "--short"], env={**env, "PATH": os.defpath, "HOME": "/nonexistent"})
        return Tool(argv=argv, version=said.strip(), env=env)

    @cached_property
    def pyinfra(self) -> Tool:
        """Give pyinfra."""
        path = self._venv("pyinfra", _PYINFRA) / "bin/pyinfra"
        return Tool(argv=(str(path),), version=_PYINFRA[0].partition("==")[2], env={})

    @cached_property
    def ansible(self) -> AnsibleTools:
        """Give Ansible with the collection for Docker."""
        folder = self._venv("ansible", _ANSIBLE)
        collections = self._filled("collections", self._fetch_collections)
        site = next((folder / "lib").glob("python3*/site-packages"))
        return AnsibleTools(
            folder=folder,
            version=_ANSIBLE[0].partition("==")[2],
            collections=collections,
            remote_modules=tuple(site / name for name in _REMOTE_MODULES if (site / name).is_dir()),
        )

    @property
    def _engine_env(self) -> dict[str, str]:
        return {name: value for name, value in self.engines.env.items() if name == "LD_LIBRARY_PATH"}

    # Fetching --------------------------------------------------------------------------------------------------------

    def _venv(self, name: str, packages: tuple[str, ...]) -> Path:
        def make(folder: Path) -> None:
            run([sys.executable, "-m", "venv", folder], timeout_s=120)
            pip: list[str | Path] = [folder / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
            run([*pip, "install", *packages], timeout_s=600)

        return self._filled(name, make)

    def _fetch_collections(self, folder: Path) -> None:
        python = self._venv("ansible", _ANSIBLE) / "bin/python"
        pip: list[str | Path] = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        run([*pip, "download", "--no-deps", "--dest", folder, _COLLECTIONS], timeout_s=600)
        wheel = next(folder.glob("ansible-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith(_COLLECTIONS_USED)])
        wheel.unlink()

    def _debian(self, name: str, packages: tuple[str, ...]) -> Path:
        def unpack(folder: Path) -> None:
            suite = Suite("bookworm", self._cache / "apt")
            (self._cache / "apt").mkdir(parents=True, exist_ok=True)
            suite.refresh()
            suite.fetch(packages, into=folder)

        return self._filled(name, unpack)

    @staticmethod
    def _debian_program(root: Path | None, name: str) -> Path:
        if root is None or not (root / "usr/bin" / name).exists():
            raise LabError(f"Debian's package brought no `{name}`")
        return root / "usr/bin" / name

    def _filled(self, name: str, fill: Callable[[Path], None]) -> Path:
        """Give a folder of the cache, filled; one that was begun and not finished is filled anew."""
        folder, stamp = self._cache / name, self._cache / f"{name}.filled"
        if not stamp.exists() or stamp.read_text() != _FORMAT or not folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            fill(folder)
            stamp.write_text(_FORMAT)
        return folder


def _words(command: str) -> str:
    """Give the first line that a command says, as a version to print; `?` when it fails."""
    try:
        return run(["sh", "-c", command]).splitlines()[0].strip()
    except (LabError, IndexError):
        return "?"
