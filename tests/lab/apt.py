"""Fetch Debian packages into a folder, without touching the machine's own apt state or installing anything."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.lab.command import run
from tests.lab.missing import LabError, LabMissing

_DEBIAN_SUITES = re.compile(r"'(\S+)/dists/(bookworm|trixie|forky|sid|stable|oldstable|testing)/InRelease'")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_LIBRARY = re.compile(r"^\s+(?:\|?Depends|PreDepends): (lib[a-z0-9.+-]+)$", re.MULTILINE)
# The machine's own C library goes with its own loader; another one beside it breaks every program.
_NEVER_OURS = frozenset({"libc6"})


def machine_mirror() -> str:
    """Return the address of the Debian archive that this machine is configured to use.

    Read from what `apt-get update` would fetch, so it honours every form of apt source.
    """
    try:
        would_fetch = run(["apt-get", "update", "--print-uris"])
    except LabMissing as gone:
        raise LabMissing(
            "apt-get is missing: the lab fetches its daemons from Debian's archive; "
            "run it on Debian 12 or later, or put dockerd, containerd, runc, sshd and busybox on PATH"
        ) from gone
    found = _DEBIAN_SUITES.search(would_fetch)
    if found is None:
        raise LabMissing(
            "no Debian archive in apt's sources: add one to /etc/apt/sources.list.d, "
            "or put dockerd, containerd, runc, sshd and busybox on PATH"
        )
    return found[1]


class Suite:
    """Read one Debian suite through apt with lists and caches of our own.

    `folder` holds them; `name` is the suite (`bookworm`, `trixie`).
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder

    def refresh(self) -> None:
        """Fetch the suite's list of packages. Errors: `LabMissing`."""
        lists = self._folder / "lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        (self._folder / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        key = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
        self._sources.write_text(f"deb {key}{machine_mirror()} {self.name} main\n")
        self._config.write_text(
            # The machine's hooks after an update (software centres and the like) are none of our business.
            "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n"
            "#clear APT::Update::Post-Invoke-Success;\n"
            f'Dir::Etc::sourcelist "{self._sources}";\nDir::Etc::sourceparts "/dev/null";\n'
            f'Dir::State::lists "{lists}";\nDir::Cache "{self._folder / "cache"}";\n'
            # apt's own user cannot write below /root, where the cache usually is.
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\n'
        )
        try:
            run(["apt-get", "-c", self._config, "-qq", "update"], timeout_s=300)
        except LabError as broken:
            raise LabMissing(f"cannot read Debian's {self.name} suite from {self._place()}: {broken}") from broken
        if not any(lists.glob("*_Packages*")):
            raise LabMissing(f"the archive at {self._place()} has no suite {self.name} (see `apt-get update`)")

    def fetch(self, packages: Sequence[str], *, into: Path) -> None:
        """Download the packages and unpack them into a folder. Errors: `LabMissing`."""
        debs = self._folder / "debs"
        debs.mkdir(exist_ok=True)
        try:
            run(["apt-get", "-c", self._config, "-qq", "download", *packages], cwd=debs, timeout_s=600)
            for package in packages:
                for deb in debs.glob(f"{package}_*.deb"):
                    run(["dpkg", "-x", deb, into])
                    deb.unlink()
        except LabError as broken:
            raise LabMissing(
                f"cannot fetch {', '.join(packages)} of {self.name} from {self._place()}: {broken}"
            ) from broken

    def libraries(self, packages: Iterable[str]) -> list[str]:
        """Return the library packages that these packages need and the machine lacks, in alphabetical order."""
        said = run(["apt-cache", "-c", self._config, "depends", "--no-recommends", "--no-suggests", *packages])
        installed = run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package}\n"]).splitlines()
        have = {line.removeprefix("ii ") for line in installed if line.startswith("ii ")}
        return sorted(set(_LIBRARY.findall(said)) - have - _NEVER_OURS)

    def _place(self) -> str:
        # An archive's address may carry a login; messages must not.
        return re.sub(r"//[^/@]*@", "//", self._sources.read_text().split()[-3]) if self._sources.exists() else "?"

    @property
    def _sources(self) -> Path:
        return self._folder / "sources.list"

    @property
    def _config(self) -> Path:
        return self._folder / "apt.conf"


def missing_libraries(binaries: Iterable[Path], *, library_path: str) -> set[str]:
    """Return the shared libraries (sonames) that these programs would not find."""
    env = {**os.environ, "LD_LIBRARY_PATH": library_path}
    missing: set[str] = set()
    for binary in binaries:
        try:
            said = run(["ldd", binary], env=env)
        except LabError:
            continue  # `ldd` fails on a static program: it lacks nothing
        missing.update(re.findall(r"^\s*(\S+) => not found", said, re.MULTILINE))
    return missing
