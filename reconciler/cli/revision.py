"""Ask git which commit the specs are, and which commits it contains. Runs nothing that the repository configures."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

NONE = "none"
_DEADLINE_S = 20
_SAFE = (
    "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never",
    "-c", "diff.external=", "-c", "core.pager=cat",
)  # fmt: skip


def revision_of(specs: Path) -> str:
    """Give the commit of the folder, with `+dirty` when its files differ from it, or `none` outside of git."""
    commit = _git(specs, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if commit is None:
        return NONE
    changed = _git(specs, "status", "--porcelain", "--ignore-submodules", "--", ".")
    return commit if changed == "" else f"{commit}+dirty"


def top_of(folder: Path) -> Path | None:
    """Give the top of the checkout that a folder lies in, or None."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    return Path(top) if top else None


def contained(specs: Path, commits: frozenset[str]) -> frozenset[str]:
    """Give those of `commits` that are the specs' commit or its ancestors; none outside of git."""
    return frozenset(
        commit
        for commit in commits
        if commit.isalnum() and _git(specs, "merge-base", "--is-ancestor", commit, "HEAD") is not None
    )


def _git(specs: Path, *arguments: str) -> str | None:
    """Run git on the folder; None when it says no, is not there, or the folder is in no repository."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    try:
        done = subprocess.run(
            ["git", "-C", str(specs), *_SAFE, "-c", "safe.directory=*", *arguments],
            capture_output=True,
            timeout=_DEADLINE_S,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None
