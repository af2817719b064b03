"""Type what the pages show: every `$ …` line of a console block is run against a real host, and its output compared.

A page begins with the fleet that the tutorial builds, the tutorial with nothing. A YAML block that names a spec file is
written when it is reached. `…` stands for anything; `$ echo $?` says which status the command before it ended with.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, Block, blocks
from tests.e2e.driver import Driver
from tests.e2e.warm import Warm
from tests.lab.config import HostOptions
from tests.lab.host import LabHost

_TUTORIAL = DOCS / "tutorial/first-fleet.md"
_RUNNABLE = [page for page in PAGES if any(block.language == "console" for block in blocks(page))]
_ASKS = ("apply", "destroy", "adopt", "host add", "host accept")
_FULL_ID = re.compile(r"[0-9a-f]{64}")
# Two images of the lab stand in for those of the pages: nothing is pulled.
_IMAGES = {"lab/web:1": "nginxinc/nginx-unprivileged:1.27", "lab/web:2": "nginxinc/nginx-unprivileged:1.28"}


@pytest.fixture(scope="module")
def box(lab_folder: Path) -> Iterator[LabHost]:
    """Give a host with an address of its own, so that sshd and Docker are where the pages say."""
    with LabHost.start(lab_folder, "box", HostOptions(own_network=True)) as host:
        host.load_image(*_IMAGES)
        for ours, theirs in _IMAGES.items():
            host.docker("tag", ours, theirs)
        yield host


@dataclass
class Reader:
    """Follow a page like a reader: write its files, type its commands, compare what comes."""

    driver: Driver
    box: LabHost
    means: dict[str, str] = field(default_factory=dict)

    def follow(self, page: Path) -> None:
        """Do everything that a page says, in its order."""
        for block in blocks(page):
            if block.file is not None:
                self.write(block)
            elif block.language == "console":
                self._type(block)

    def write(self, block: Block) -> None:
        """Write the spec file that a block is the content of."""
        assert block.file is not None
        self.driver.write(block.file.removeprefix("specs/"), self._meant(block.text))

    def _type(self, block: Block) -> None:
        for typed, shown, status in _typed(block.text):
            ended, output = self.run(typed)
            said = f"{block.name}: $ {typed}\nended with {ended}, expected {status}\n{output}"
            assert ended == status, said
            for line in shown:
                if _FULL_ID.fullmatch(line):
                    self.means[line] = output.strip()
                pattern = re.escape(self._meant(line)).replace("…", ".*")
                assert any(re.fullmatch(pattern, one.strip()) for one in output.splitlines()), f"{line!r} in {said}"

    def run(self, typed: str, *, fresh: bool = True) -> tuple[int, str]:
        """Run one line and give its status and all it said; ours is started from nothing where it is `fresh`."""
        words = shlex.split(self._meant(typed))
        if words[0] == "reconcile":
            asks = typed.removeprefix("reconcile ").startswith(_ASKS) and "--yes" not in words
            ran = self.driver.run(*words[1:], *(["--yes"] if asks else []), fresh=fresh)
            return ran.exit, ran.stdout + ran.stderr
        if words[0] == "ssh":
            quiet = (
                "-i",
                self.box.identity_file,
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            )
            words = ["ssh", "-o", "LogLevel=ERROR", *map(str, quiet), *words[1:]]
            done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        else:
            done = subprocess.run(
                ["sh", "-c", self._meant(typed)], cwd=self.driver.folder, capture_output=True, text=True, check=False
            )
        return done.returncode, done.stdout + done.stderr

    def _meant(self, text: str) -> str:
        for shown, real in self.means.items():
            text = text.replace(shown, real)
        return text


def _typed(text: str) -> Iterator[tuple[str, list[str], int]]:
    """Give each command of a console block, the lines shown below it, and the status it is said to end with."""
    found: list[tuple[str, list[str], int]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], [], 0))
        elif line.strip() and "[y/N]" not in line:
            found[-1][1].append(line.strip())
    for at, (typed, shown, status) in enumerate(found):
        after = found[at + 1] if at + 1 < len(found) else ("", [], 0)
        if typed != "echo $?":
            yield typed, shown, int(after[1][0]) if after[0] == "echo $?" else status


@pytest.fixture
def reader(tmp_path: Path, box: LabHost, warm: Warm) -> Iterator[Reader]:
    """Give a reader with an empty folder, and the host cleared when they have done."""
    driver = Driver(tmp_path, fleet="lab", warm=warm)
    keys = driver.home / ".ssh"
    keys.mkdir(mode=0o700)
    shutil.copy(box.identity_file, keys / "id_ed25519")
    (keys / "id_ed25519").chmod(0o600)
    secret = tmp_path / "secret"
    secret.write_text("an old value\n")
    means = {"192.0.2.10": box.address, "/etc/reconciler/db-password": str(secret)}
    yield Reader(driver, box, means)
    driver.clear(box)


@pytest.mark.lab
@pytest.mark.parametrize("page", _RUNNABLE, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_command_shown_does_what_is_shown(page: Path, reader: Reader) -> None:
    """Follow the page."""
    if page == _TUTORIAL:
        reader.driver.specs.rmdir()
    else:
        for block in _files_of_the_tutorial():
            reader.write(block)
        reader.run("reconcile host add box ops@192.0.2.10", fresh=False)
        assert reader.run("reconcile apply", fresh=False)[0] == 0
    reader.follow(page)


def _files_of_the_tutorial() -> list[Block]:
    """Give the first version of each spec file that the tutorial writes."""
    first: dict[str, Block] = {}
    for block in blocks(_TUTORIAL):
        if block.file is not None:
            first.setdefault(block.file, block)
    return list(first.values())
