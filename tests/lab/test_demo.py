"""The demonstration where no real hosts can be had: it says so first, then tells the whole story on simulated ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.terminal import run_at_terminal

_ROOT = Path(__file__).parents[2]
_DEMO = (sys.executable, "-m", "tests.lab.demo")
_STAND_IN = "What follows runs on simulated hosts in memory: a stand-in, no container is started."
_STORY = (
    "valid. 4 sandboxes on 2 hosts.",
    "Plan: 4 to create",
    "Applied: 4 created",
    "4 sandboxes: 4 synced, 4 ready",
    "No changes. 4 sandboxes on 2 hosts match",
    "it vanished from its host behind the reconciler's back",
    "Applied: 1 created",
    "lab/web:1 -> lab/web:2",
    "64MiB -> 96MiB",
    "Applied: 0 created, 0 updated, 1 replaced",
    "Applied: 0 created, 0 updated, 0 replaced, 4 destroyed",
    "That was all",
)
# Says that it is one, and gives no root: what it runs must find out that it was let in and still cannot.
_SUDO = """#!/bin/sh
echo "a stand-in for sudo runs: $*"
exec "$@"
"""
_REFUSING_SUDO = """#!/bin/sh
echo "a stand-in for sudo lets nobody in" >&2
exit 1
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Give an environment in which nothing can be fetched, and nothing was: its search path has sudo alone, if that."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    return {
        "PATH": str(tmp_path / "bin"),
        "HOME": str(tmp_path / "home"),
        "RECONCILER_LAB_CACHE": str(tmp_path / "cache"),
        "LANG": "C.UTF-8",
    }


def _as_user() -> list[str]:
    """Give the command that makes whoever runs the tests somebody who is not root."""
    # Not by another uid: that one could not read a checkout below root's home.
    return ["/usr/bin/unshare", "--user", "--"] if os.geteuid() == 0 else []


def _as_root() -> list[str]:
    """Give the command that makes whoever runs the tests root: in a name space of their own where they are not."""
    return [] if os.geteuid() == 0 else ["/usr/bin/unshare", "--user", "--map-root-user", "--"]


def _run(argv: list[str], env: dict[str, str]) -> str:
    """Run it to its end, find the whole story told in order, and give its first line."""
    done = subprocess.run(
        argv,
        cwd=_ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    at = [done.stdout.find(part) for part in _STORY]
    assert -1 not in at, f"{_STORY[at.index(-1)]!r} is missing in:\n{done.stdout}"
    assert at == sorted(at), done.stdout
    first = done.stdout.partition("\n")[0]
    assert first.endswith(_STAND_IN)
    return first


def test_without_root_it_says_how_to_get_it_and_goes_on(env: dict[str, str]) -> None:
    first = _run([*_as_user(), *_DEMO], env)

    assert first == (
        "No real hosts: two Docker engines and their network bridges need root (get it: `sudo make demo`). " + _STAND_IN
    )


def test_without_packages_it_says_what_is_missing_and_goes_on(env: dict[str, str]) -> None:
    first = _run([*_as_root(), *_DEMO], env)

    assert first.startswith("No real hosts: apt-get is missing: the lab fetches its daemons from Debian's archive; ")
    assert "run it on Debian 12 or later, or put dockerd, containerd, runc, sshd and busybox on PATH" in first


@pytest.mark.parametrize(("answer", "told"), [("y\n", 1), ("\n", 0)])
def test_it_asks_once_before_it_becomes_root(env: dict[str, str], answer: str, told: int) -> None:
    _put_sudo(env, _SUDO)

    shown = run_at_terminal([*_as_user(), *_DEMO], cwd=_ROOT, env=env, question="Go on? [y/N]", answer=answer)

    assert shown.status == 0
    assert shown.text.count("Go on?") == 1
    assert shown.text.count("a stand-in for sudo runs: ") == told
    assert shown.text.count(_STAND_IN) == 1
    assert "That was all" in shown.text


def test_a_sudo_that_lets_nobody_in_leaves_the_simulated_hosts(env: dict[str, str]) -> None:
    _put_sudo(env, _REFUSING_SUDO)

    shown = run_at_terminal([*_as_user(), *_DEMO], cwd=_ROOT, env=env, question="Go on? [y/N]", answer="y\n")

    assert shown.status == 0
    assert shown.text.count("a stand-in for sudo lets nobody in") == 1
    assert "That was all" in shown.text


def _put_sudo(env: dict[str, str], text: str) -> None:
    sudo = Path(env["PATH"]) / "sudo"
    sudo.write_text(text)
    sudo.chmod(0o755)
