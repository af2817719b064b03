"""Show a newcomer the whole tool on two real throw-away hosts: `make demo`.

Starts two hosts (an sshd and a dockerd each), applies the example fleet over SSH, removes a container behind the
tool's back, shows and heals the drift, changes a spec, destroys, and takes everything down again. No service is
installed and no Docker of yours is touched.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.lab.__main__ import down, up
from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.images import IMAGES
from tests.lab.missing import LabError

ROOT = Path(__file__).resolve().parents[2]
_BOLD, _DIM, _OFF = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def say(text: str) -> None:
    """Tell what comes next."""
    sys.stdout.write(f"\n{_BOLD}# {text}{_OFF}\n")
    sys.stdout.flush()


class Demo:
    """Hold one demonstration: its folder, its hosts and the specs that point at them."""

    def __init__(self, folder: Path, hosts: list[LabHost]) -> None:
        self.folder = folder
        self.hosts = hosts
        self.specs = folder / "specs"

    def write_specs(self) -> None:
        """Copy the example fleet, with these hosts in place of its placeholders."""
        shutil.copytree(ROOT / "specs", self.specs)
        for host in self.hosts:
            # A storage root is the operator's: it is there before the reconciler comes.
            (host.home / "data").mkdir()
            os.chown(host.home / "data", host.uid, host.uid)
        documents = [
            f"""apiVersion: reconciler/v1
kind: Host
metadata: {{name: {host.name}, labels: {{pool: lab}}}}
spec:
  address: {host.address}
  ssh:
    user: {host.user}
    port: {host.ssh_port}
    hostKey: "{host.host_key}"
    identityFile: {host.identity_file}
  dockerSocket: {host.docker_socket}
  baseDir: {host.base_dir}
  storageRoots: {{data: {host.home}/data}}
"""
            for host in self.hosts
        ]
        (self.specs / "hosts.yaml").write_text("---\n".join(documents))

    def reconcile(self, *arguments: str) -> int:
        """Run the command as a person would, and show the line that they would type."""
        sys.stdout.write(f"{_BOLD}$ reconcile {' '.join(arguments)}{_OFF}\n")
        sys.stdout.flush()
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", *arguments], cwd=self.folder, env=environment, check=False
        )
        return done.returncode

    def expect(self, status: int, *arguments: str) -> None:
        """Run the command and insist on its exit status."""
        found = self.reconcile(*arguments)
        if found != status:
            raise LabError(f"reconcile {' '.join(arguments)} ended with {found}, expected {status}")

    def edit(self, *, old: str, new: str) -> None:
        """Change one line of a spec, and show it."""
        path = self.specs / "sandboxes.yaml"
        text = path.read_text()
        if old not in text:
            raise LabError(f"the example has no {old!r} any more")
        path.write_text(text.replace(old, new, 1))
        sys.stdout.write(f"{_DIM}  specs/sandboxes.yaml{_OFF}\n  - {old}\n  + {new}\n")

    def run(self) -> None:
        """Show everything, in the order in which a newcomer would ask for it."""
        say("The specs say what should be. Checking them reaches no host:")
        self.expect(0, "validate")
        say("What would happen? Exit status 2 says: there are changes.")
        self.expect(2, "plan", "--detailed-exitcode")
        say("Do it. (--yes, because nobody is asked here.)")
        self.expect(0, "apply", "--yes")
        say("What is there now:")
        self.expect(0, "status")
        say("Plan again: after an apply there is nothing left to do. That is a promise.")
        self.expect(0, "plan", "--detailed-exitcode")
        say("Somebody removes a container behind our back:")
        sys.stdout.write(f"{_BOLD}$ ssh h2 docker rm -f sbx-lab.worker.main{_OFF}\n")
        self.hosts[1].docker("rm", "-f", "sbx-lab.worker.main")
        self.expect(2, "plan", "--detailed-exitcode")
        say("Heal it:")
        self.expect(0, "apply", "--yes")
        say("Change a spec: a new image and more memory.")
        self.edit(old='image: "lab/web:1"}', new='image: "lab/web:2"}')
        self.edit(old="resources: {memory: 64MiB}", new="resources: {memory: 96MiB}")
        self.expect(2, "plan", "web-1", "--detailed-exitcode")
        self.expect(0, "apply", "web-1", "--yes")
        say("Take everything away again. Data under a storage root stays.")
        self.expect(0, "destroy", "--all", "--yes")
        self.expect(0, "status")


def main() -> int:
    """Run the demonstration; give 0, or 1 with one line that says why not."""
    if os.geteuid() != 0:
        return _as_root()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="reconciler-demo-", dir="/tmp"))
    folder.chmod(0o755)
    lab = folder / "lab"
    lab.mkdir()
    hosts: list[LabHost] = []
    try:
        say("Starting two hosts: an sshd and a dockerd each, in worlds of their own.")
        hosts = up(lab, count=2, options=HostOptions(own_network=True, tied=True))
        for host in hosts:
            host.load_image(*IMAGES)
            sys.stdout.write(f"  {host.name}: ssh port {host.ssh_port}, Docker {host.engine_version}\n")
        demo = Demo(folder, hosts)
        demo.write_specs()
        demo.run()
        say(f"That was all, in {time.monotonic() - began:.0f} s. Your turn: docs/tutorial/first-fleet.md")
    except LabError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    finally:
        say("Taking the hosts down.")
        down(lab)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _as_root() -> int:
    """Ask once, then go on as root: bridges and engines need it."""
    if shutil.which("sudo") is None or not sys.stdin.isatty():
        sys.stderr.write("error: the demo starts two Docker engines and needs root\nhint: sudo make demo\n")
        return 1
    sys.stdout.write(
        "The demo starts two Docker engines and two network bridges, and needs root for that. Go on? [y/N] "
    )
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        return 1
    return subprocess.run(["sudo", sys.executable, "-m", "tests.lab.demo"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
