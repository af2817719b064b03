"""Show a newcomer the whole tool: `make demo`.

On Debian, with root, on two real throw-away hosts (an sshd and a dockerd each) that are reached over SSH and taken down
again; no service is installed and no Docker of yours is touched. Elsewhere on simulated hosts, after saying so.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.lab.__main__ import down, up
from tests.lab.apt import machine_mirror
from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.images import IMAGES
from tests.lab.missing import LabError, LabMissing
from tests.lab.packages import default_generation, is_here, programs
from tests.lab.simulated import SimulatedStory
from tests.lab.story import Story, say, show

_ROOT = Path(__file__).resolve().parents[2]
_FINE, _FAILED, _INTERRUPTED = 0, 2, 130
_SUDO_REFUSED = 1  # what sudo itself ends with where it lets nobody in, and so nothing that we end with
_ASKED = "--asked"  # somebody agreed to root already
_NO_ROOT = "two Docker engines and their network bridges need root (get it: `sudo make demo`)"
_STAND_IN = "What follows runs on simulated hosts in memory: a stand-in, no container is started."


class RealStory(Story):
    """Hold two hosts of the lab, and the example fleet with them in place of its placeholders."""

    def __init__(self, folder: Path, hosts: list[LabHost]) -> None:
        super().__init__(folder)
        self._hosts = {host.name: host for host in hosts}
        shutil.copytree(_ROOT / "specs", self.specs)
        for host in hosts:
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
            for host in hosts
        ]
        (self.specs / "hosts.yaml").write_text("---\n".join(documents))

    def reconcile(self, *arguments: str) -> int:
        """Run the command in a process of its own."""
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        words = [sys.executable, *(["-B"] if sys.dont_write_bytecode else []), "-m", "reconciler", *arguments]
        return subprocess.run(words, cwd=self.folder, env=environment, check=False).returncode

    def remove_container(self, *, host: str, name: str) -> None:
        """Remove a container with Docker's own command line."""
        self._hosts[host].docker("rm", "-f", name)


def main() -> int:
    """Run the demonstration; give 0, or another status with one line that says why not."""
    try:
        return _show(may_ask=_ASKED not in sys.argv)
    except LabError as error:
        sys.stderr.write(f"error: {error}\n")
        return _FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED


def _show(*, may_ask: bool) -> int:
    """Show it on real hosts where this machine and its user let us, else on simulated ones."""
    if os.geteuid() == 0:
        try:
            _show_real()
        except LabMissing as missing:
            _show_simulated(str(missing))
        return _FINE
    if may_ask and shutil.which("sudo") is not None and sys.stdin.isatty() and _agrees():
        # -B: root leaves no compiled files in a checkout that is not root's.
        words = ["sudo", sys.executable, "-B", "-m", "tests.lab.demo", _ASKED]
        status = subprocess.run(words, cwd=_ROOT, check=False).returncode
        if status != _SUDO_REFUSED:
            return status
    _show_simulated(_NO_ROOT)
    return _FINE


def _agrees() -> bool:
    """Ask once."""
    sys.stdout.write(
        "The demo starts two Docker engines and two network bridges, and needs root for that. Go on? [y/N] "
    )
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show_real() -> None:
    """Show it on real hosts. Errors: `LabMissing` for what this machine lacks, `LabError` for what went wrong."""
    _fetch_programs()
    folder = Path(tempfile.mkdtemp(prefix="reconciler-demo-", dir="/tmp"))
    folder.chmod(0o755)
    lab = folder / "lab"
    lab.mkdir()
    try:
        say("Starting two hosts: an sshd and a dockerd each, in worlds of their own.")
        hosts = up(lab, count=2, options=HostOptions(own_network=True, tied=True))
        for host in hosts:
            host.load_image(*IMAGES)
            show(f"  {host.name}: ssh port {host.ssh_port}, Docker {host.engine_version}")
        RealStory(folder, hosts).tell()
    finally:
        if (lab / "lab.json").exists():
            say("Taking the hosts down.")
            down(lab)
        shutil.rmtree(folder, ignore_errors=True)


def _fetch_programs() -> None:
    """Fetch what the hosts are made of, where it is not here yet. Errors: `LabMissing`."""
    generation = default_generation()
    if not is_here(generation):
        machine_mirror()  # asked before anything is said: it knows at once when there is nothing to fetch from
        say("Fetching Docker and sshd from Debian's archive, once: about 250 MB on disk. Nothing is installed.")
    programs(generation)


def _show_simulated(why: str) -> None:
    """Say in one line what is missing and what is shown instead, and show it. Errors: `LabError`."""
    missing = " ".join(why.split()).rstrip(".")
    show(f"No real hosts: {missing}. {_STAND_IN}")
    with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as folder:
        SimulatedStory(Path(folder)).tell()


if __name__ == "__main__":
    sys.exit(main())
