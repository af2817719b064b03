"""Run the command in processes that have its modules loaded already: the same code, without a second of start-up.

One process for each process of tests loads everything and waits; for each run it forks, and the child becomes the
command: its folder, environment and streams are its own. What a start from nothing does is seen by the tests that do
start it so: those of the pages, of the start-up itself, and all that use a terminal or signals.
"""

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

import pytest

_ROOT = Path(__file__).parents[2]
_REQUEST_MAX = 1 << 20
_LOADED_S = 120  # to load everything the first time, on a busy machine
_ENV = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "PYTHONPATH": str(_ROOT)}


class Warm:
    """Hold the process that waits with everything loaded."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", __name__], cwd=_ROOT, env=_ENV, stdin=theirs.fileno()
            )
        self._asks = ours

    def run(
        self,
        words: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        streams: tuple[IO[bytes], IO[bytes], IO[bytes]],
        timeout_s: float,
    ) -> int:
        """Run one command to its end and give its status; `streams` are its input, output and errors, as files.

        Errors: `subprocess.TimeoutExpired`, and the command is killed; `AssertionError` when it died of a signal.
        """
        answers, theirs = socket.socketpair()
        with answers:
            with theirs:
                request = json.dumps({"words": list(words), "cwd": str(cwd), "env": dict(env)}).encode()
                fds = [theirs.fileno(), *(stream.fileno() for stream in streams)]
                socket.send_fds(self._asks, [request], fds)
            answers.settimeout(_LOADED_S)
            pid = int.from_bytes(answers.recv(4, socket.MSG_WAITALL))
            assert pid, "the process that waits with everything loaded has ended"
            answers.settimeout(timeout_s)
            try:
                status = answers.recv(1)
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(words, timeout_s) from None
        assert status, f"reconcile {' '.join(words)} was killed"
        return status[0]

    def close(self) -> None:
        """End the process that waits."""
        self._asks.close()
        self._server.wait(timeout=30)


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Give a process that has the command loaded, shared by all tests of this process."""
    one = Warm()
    yield one
    one.close()


def _serve() -> None:
    """Load everything, then fork for each request until the other end is closed."""
    package = importlib.import_module("reconciler")
    for module in pkgutil.walk_packages(package.__path__, "reconciler."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()  # what is loaded is shared with every child, as long as nobody touches it
    asks = socket.socket(fileno=os.dup(0))
    while True:
        request, fds, _, _ = socket.recv_fds(asks, _REQUEST_MAX, 4)
        if not request:
            return
        if os.fork() == 0:
            asks.close()
            _become(request, fds)
        for fd in fds:
            os.close(fd)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def _become(request: bytes, fds: list[int]) -> NoReturn:
    """Be the command that a request describes, and say how it ended."""
    status = 1
    answers = socket.socket(fileno=fds[0])
    try:
        answers.send(os.getpid().to_bytes(4))
        for target, fd in enumerate(fds[1:]):
            os.dup2(fd, target)
            os.close(fd)
        asked = json.loads(request)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        sys.argv = ["reconcile", *asked["words"]]
        status = importlib.import_module("reconciler.cli").run(asked["words"])
    except BaseException:  # noqa: BLE001  # the last words of a process, as the interpreter would write them
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        answers.send(bytes([status]))
        os._exit(status)


if __name__ == "__main__":
    _serve()
