"""Drive the installed command as an operator would: a spec folder, a clean home, and one process for each command."""

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.e2e.warm import Warm
from tests.lab.host import LabHost
from tests.lab.terminal import run_at_terminal

CHECKOUT = Path(__file__).parents[2]
_SCRIPT = Path(sys.executable).with_name("reconcile")
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Hold what one command came to."""

    words: tuple[str, ...]
    exit: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Read standard output as one JSON document."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Read standard output as a stream of JSON objects."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def expect(self, *statuses: int) -> "Ran":
        """Give itself when it ended with one of these statuses and without a traceback; fail with its words if not."""
        said = f"reconcile {' '.join(self.words)} ended with {self.exit}\n{self.stdout}\n{self.stderr}"
        assert self.exit in statuses, said
        assert TRACEBACK not in self.stdout + self.stderr, said
        return self


class Driver:
    """Run `reconcile` in a folder of its own: `specs/`, `status/` and a home that holds nothing else.

    The fleet's name is part of every name on a host and of the base folder: drivers do not meet on shared hosts.
    """

    def __init__(self, folder: Path, *, fleet: str, warm: Warm | None = None) -> None:
        self.folder = folder
        self.fleet = fleet
        self._warm = warm
        self.specs = folder / "specs"
        self.status = folder / "status"
        self.home = folder / "home"
        self.specs.mkdir(parents=True)
        self.home.mkdir(mode=0o700)

    # Writing specs.

    def write(self, name: str, text: str) -> Path:
        """Write one file of specs; `name` may hold folders. Files that are there are replaced."""
        path = self.specs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def declare(self, kind: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> Path:
        """Write one document into a file of its own, `<kind>-<name>.yaml`, in place of the one that is there."""
        document = {
            "apiVersion": "reconciler/v1",
            "kind": kind,
            "metadata": {"name": name, **metadata},
            "spec": dict(spec),
        }
        # JSON is YAML: nothing has to be quoted by hand.
        return self.write(f"{kind.lower()}-{name}.yaml", json.dumps(document, indent=2) + "\n")

    def declare_fleet(self, **spec: Any) -> Path:
        """Write the Fleet; `spec` in the words of the language, e.g. `limits={"removalsPerPlan": "100%"}`."""
        return self.declare("Fleet", self.fleet, spec)

    def declare_secret(self, name: str, value: str, **spec: Any) -> Path:
        """Write the Fleet with one secret and what else `spec` says, and give the secret's file."""
        path = self.folder / name
        path.write_text(f"{value}\n")
        self.declare_fleet(secrets={name: {"file": str(path)}}, **spec)
        return path

    def declare_host(self, host: LabHost, *, name: str | None = None, **spec: Any) -> Path:
        """Write the Host document of a lab host; `spec` is laid over it field by field, `ssh` too."""
        ssh = {
            "user": host.user,
            "port": host.ssh_port,
            "hostKey": " ".join(host.host_key.split()[:2]),
            "identityFile": str(host.identity_file),
            **spec.pop("ssh", {}),
        }
        whole = {
            "address": host.address,
            "ssh": ssh,
            "dockerSocket": str(host.docker_socket),
            "baseDir": self.base_dir(host),
            **spec,
        }
        return self.declare("Host", name or host.name, whole, labels={"pool": "lab"})

    def declare_sandbox(self, name: str, **spec: Any) -> Path:
        """Write a Sandbox, e.g. `declare_sandbox("web", host="alpha", containers={"main": {"image": "lab/web:1"}})`."""
        return self.declare("Sandbox", name, spec)

    def drop(self, kind: str, name: str) -> None:
        """Take out a document that `declare` wrote."""
        (self.specs / f"{kind.lower()}-{name}.yaml").unlink()

    def base_dir(self, host: LabHost) -> str:
        """Give the base folder of this driver's fleet on a lab host."""
        return f"{host.home}/.reconciler/{self.fleet}"

    # Running.

    def run(
        self,
        *words: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout_s: float = 120,
        fresh: bool = False,
    ) -> Ran:
        """Run one command to its end, without a terminal.

        It is started from nothing when it is to be `fresh` or gets an environment of its own, else in a process that
        has it loaded, where there is one.
        """
        said = [str(word) for word in words]
        if self._warm is not None and env is None and not fresh:
            return self._run_warm(self._warm, said, stdin=stdin or "", timeout_s=timeout_s)
        return self.execute(*command(), *said, words=said, env=env, stdin=stdin or "", timeout_s=timeout_s)

    def _run_warm(self, warm: Warm, words: list[str], *, stdin: str, timeout_s: float) -> Ran:
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(stdin.encode())
            given.seek(0)
            status = warm.run(words, cwd=self.folder, env=self.env(), streams=(given, out, err), timeout_s=timeout_s)
            out.seek(0)
            err.seek(0)
            return Ran(words=tuple(words), exit=status, stdout=out.read().decode(), stderr=err.read().decode())

    def run_in_shell(self, script: str, *words: str, timeout_s: float = 180) -> Ran:
        """Run a script of bash to which the command and its words are `"$@"`, e.g. with its streams redirected."""
        return self.execute("bash", "-c", script, "bash", *command(), *words, words=words, timeout_s=timeout_s)

    def execute(
        self,
        *argv: str | Path,
        words: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = 120,
    ) -> Ran:
        """Run any program to its end where the command runs, and with its environment; `words` are for messages."""
        said = [str(word) for word in argv]
        done = subprocess.run(
            said,
            cwd=self.folder,
            env=self.env(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Ran(words=tuple(words or said), exit=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def start(self, *words: str | Path, env: Mapping[str, str] | None = None) -> "Running":
        """Start one command and leave it running, in a process group of its own."""
        said = tuple(str(word) for word in words)
        process = subprocess.Popen(
            [*command(), *said],
            cwd=self.folder,
            env=self.env(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_heed_sigint,  # noqa: PLW1509 - no threads
        )
        return Running(said, process)

    @contextmanager
    def dialog(self, *words: str, owned: bool = False) -> Iterator["Dialog"]:
        """Start one command on a terminal, to read along and to answer; it is killed where the block leaves it running.

        An `owned` terminal is the command's own: its end is told to it, as a shell's is when its window is closed.
        """
        ours, theirs = pty.openpty()

        def prepare() -> None:
            _heed_sigint()
            if owned:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(
            [*command(), *words],
            cwd=self.folder,
            env=self.env(),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - no threads
        )
        os.close(theirs)
        dialog = Dialog(process, ours)
        try:
            yield dialog
        finally:
            process.kill()
            process.wait()
            dialog.hang_up()

    def run_at_terminal(
        self,
        *words: str | Path,
        question: str | None = None,
        answer: str = "",
        env: Mapping[str, str] | None = None,
        timeout_s: float = 120,
    ) -> Ran:
        """Run one command to its end on a terminal, and give `answer` once it shows `question`; all is in `stdout`."""
        said = tuple(str(word) for word in words)
        shown = run_at_terminal(
            [*command(), *said],
            cwd=self.folder,
            env=self.env(env),
            question=question,
            answer=answer,
            timeout_s=timeout_s,
        )
        return Ran(words=said, exit=shown.status, stdout=shown.text, stderr="")

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the whole environment of a command: nothing of the machine's own but the search path."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(CHECKOUT),
            "COLUMNS": "100",
            **(more or {}),
        }

    # Looking at hosts behind the command's back.

    def containers(self, host: LabHost) -> dict[str, str]:
        """Give the containers with this fleet's label, whatever their state: Docker's name to full id."""
        return {seen["Names"][0].removeprefix("/"): seen["Id"] for seen in host.containers(filters=self._label)}

    def clear(self, host: LabHost) -> None:
        """Remove everything of this fleet from a lab host."""
        for full_id in self.containers(host).values():
            host.engine("DELETE", f"/containers/{full_id}", force="true", v="true")
        for network in host.engine("GET", "/networks", filters=self._label):
            host.engine("DELETE", f"/networks/{network['Id']}")
        for volume in host.engine("GET", "/volumes", filters=self._label)["Volumes"] or ():
            host.engine("DELETE", f"/volumes/{volume['Name']}")
        host.run("rm", "-rf", "--", self.base_dir(host))

    @property
    def _label(self) -> str:
        """Filter by this fleet's label, in the engine's words."""
        return json.dumps({"label": [f"dev.reconciler.fleet={self.fleet}"]})


class Running:
    """Hold one command that runs."""

    def __init__(self, words: Sequence[str], process: subprocess.Popen[str]) -> None:
        self.words = tuple(words)
        self.process = process

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command alone."""
        self.process.send_signal(number)

    def until_progress(self, begins: str) -> None:
        """Read its JSON lines until one tells of progress in words that begin like this; fail when none does."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if said["type"] == "apply_progress" and said["@message"].startswith(begins):
                return
        raise AssertionError(f"it never said {begins!r}: {self.wait()}")

    def wait(self, *, timeout_s: float = 120) -> Ran:
        """Wait for its end and give what it said; one that does not end in time is killed, and the test fails."""
        try:
            stdout, stderr = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            stdout, stderr = self.process.communicate()
            raise AssertionError(
                f"{' '.join(self.words)} still ran after {timeout_s:g} s:\n{stdout}\n{stderr}"
            ) from None
        return Ran(words=self.words, exit=self.process.returncode, stdout=stdout, stderr=stderr)


class Dialog:
    """Hold one command that runs on a terminal, and the terminal's other end."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = os.fdopen(terminal, "rb+", buffering=0)

    def read_until(self, text: str) -> None:
        """Read until it has shown this text; fail when it ends, or is silent for a minute, before that."""
        said = b""
        while text.encode() not in said:
            piece = self._read()
            assert piece, f"it never showed {text!r}: {said.decode(errors='replace')}"
            said += piece

    def rest(self) -> str:
        """Read what it shows from here on until its end of the terminal is closed."""
        return b"".join(iter(self._read, b"")).decode(errors="replace")

    def answer(self, text: str) -> None:
        """Type a line."""
        self._terminal.write(f"{text}\n".encode())

    def hang_up(self) -> None:
        """Close our end of the terminal."""
        self._terminal.close()

    def wait(self, *, timeout_s: float) -> int:
        """Wait for its end and give its status."""
        return self.process.wait(timeout=timeout_s)

    def _read(self) -> bytes:
        """Read what is there; nothing once the other end is closed, or after a minute of silence."""
        shown = select.poll()
        shown.register(self._terminal, select.POLLIN)
        if not shown.poll(60_000):
            return b""
        try:
            return os.read(self._terminal.fileno(), 4096)
        except OSError:
            return b""


def _heed_sigint() -> None:
    """Undo what whoever runs these tests in the background left behind: SIGINT ignored, which a child inherits."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def command() -> list[str]:
    """Give the command as installed beside this Python, or the module where nothing is installed."""
    return [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-m", "reconciler"]
