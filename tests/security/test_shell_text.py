"""S09 and S10: nothing that anybody writes becomes text of a shell, here or on a host."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.e2e.driver import CHECKOUT, Driver
from tests.e2e.sights import expect_settled, inspect, name_of, settle
from tests.integration.test_connection import login_shell
from tests.lab.host import LabHost

SOURCES = sorted((CHECKOUT / "reconciler").rglob("*.py"))


@pytest.mark.lab
def test_s09_whatever_a_spec_says_runs_nothing_on_a_host(fleet: Driver, alpha: LabHost) -> None:
    """Say in every text of a spec what a shell would obey, and look for what it would have left."""
    fleet.drop("Host", "beta")
    decoy = alpha.home / "decoy"
    decoy.mkdir()
    decoy.chmod(0o777)
    lines = [
        f"$(touch {decoy}/1)",
        f"`touch {decoy}/2`",
        f"'; touch {decoy}/3; '",
        f'"; touch {decoy}/4; "',
        f"x\ntouch {decoy}/5\n",
        f"${{IFS}}|touch {decoy}/6",
        f"&& touch {decoy}/7 #",
        f"\\'\\\"; touch {decoy}/8",
        "--help -rf / *?[a-z] ~ !! %s {{x}} \t é \u202e",
    ]
    safe = [line.replace("${", "$${") for line in lines]
    main = {
        "image": "lab/busybox:1",
        "command": ["sleep", "600"],
        "env": {f"A{at}": line for at, line in enumerate(safe)},
        "labels": {f"note.{at}": line.replace("\n", " ") for at, line in enumerate(safe)},
        "mounts": {"/run/note": {"file": "note"}},
        "stopGrace": "1s",
    }
    files = {"note": {"path": "sub dir/-rf (note)", "content": "\n".join(safe)}}
    asked = {"exec": {"container": "main", "command": ["test", "-n", *safe[:1]]}}
    metadata = {"annotations": {"note": " ".join(safe).replace("\n", " ")}}
    web = {
        "host": "alpha",
        "containers": {"main": main},
        "directories": {"d": {"path": "sub dir"}},
        "files": files,
        "readiness": {"up": asked},
    }
    fleet.declare("Sandbox", "web", web, **metadata)
    try:
        settle(fleet)
        seen = inspect(alpha, name_of(fleet, "web"))["Config"]
        assert {f"A{at}={line}" for at, line in enumerate(lines)} <= set(seen["Env"]), "byte for byte"
        assert alpha.docker("exec", name_of(fleet, "web"), "cat", "/run/note") == "\n".join(lines)
        fleet.run("destroy", "web", "--yes").expect(0)
        assert list(decoy.iterdir()) == []
    finally:
        alpha.run("rm", "-rf", "--", decoy)


@pytest.mark.lab
@pytest.mark.parametrize("name", ["csh", "fish"])
def test_s09_a_login_shell_that_is_not_posix_changes_nothing_of_what_is_done(
    name: str, fleet: Driver, beta: LabHost
) -> None:
    fleet.drop("Host", "alpha")
    before = beta.run("getent", "passwd", beta.user).strip().rpartition(":")[2]
    change = f"s#^\\({beta.user}:.*:\\).*#\\1{{}}#"
    beta.run("sed", "-i", change.format(login_shell(beta, name)), "/etc/passwd")
    try:
        tricky = {"path": "a note (-rf)", "content": "$HOME `id` !x\n"}
        main = {"image": "lab/busybox:1", "command": ["sleep", "600"], "stopGrace": "1s"}
        fleet.declare_sandbox("web", host="beta", containers={"main": main}, files={"note": tricky})
        settle(fleet)
        expect_settled(fleet)
        (written,) = Path(fleet.base_dir(beta)).glob("*/a note (-rf)")
        assert written.read_text() == "$HOME `id` !x\n"
    finally:
        beta.run("sed", "-i", change.format(before), "/etc/passwd")


# S10.


def _calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """Give every call of a module with the last two parts of what is called, e.g. `subprocess.run`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            owner = ast.unparse(called.value).rpartition(".")[2] if isinstance(called, ast.Attribute) else ""
            name = called.attr if isinstance(called, ast.Attribute) else ast.unparse(called)
            found.append((f"{owner}.{name}".strip("."), node))
    return found


STARTS = {"run", "Popen", "check_output", "check_call", "call", "create_subprocess_exec"}
NEVER = {
    "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell",
    "os.execvp", "os.execlp", "os.spawnlp", "os.posix_spawnp", "pty.spawn", "eval", "exec",
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_s10_programs_are_started_by_a_list_of_words_and_by_no_shell(path: Path) -> None:
    for name, call in _calls(ast.parse(path.read_text())):
        assert name not in NEVER, f"{path}:{call.lineno}"
        owner, _, last = name.rpartition(".")
        if owner not in {"subprocess", "asyncio"} or last not in STARTS or name == "asyncio.run":
            continue
        words = call.args[0]
        assert not any(keyword.arg == "shell" for keyword in call.keywords), f"{path}:{call.lineno}"
        assert not isinstance(words, (ast.JoinedStr, ast.BinOp)), f"{path}:{call.lineno}"


def test_s10_git_is_asked_in_an_environment_of_its_own(bare: Driver) -> None:
    """Let a repository, a home and an environment name programs: git is the one program that is run here."""
    mark = bare.folder / "ran"
    trap = bare.folder / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {mark}\n")
    trap.chmod(0o755)
    bare.declare_fleet()
    git = bare.folder / ".git"
    for name in ("refs", "objects", "hooks"):
        (git / name).mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    config = f"[core]\n\tfsmonitor = {trap}\n\tpager = {trap}\n\tsshCommand = {trap}\n\thooksPath = {git}/hooks\n"
    (git / "config").write_text(f"[core]\n\trepositoryformatversion = 0\n{config}[diff]\n\texternal = {trap}\n")
    (bare.home / ".gitconfig").write_text(config)
    (git / "hooks/post-index-change").symlink_to(trap)
    env = {"GIT_EXTERNAL_DIFF": str(trap), "GIT_PAGER": str(trap), "GIT_SSH_COMMAND": str(trap), "PAGER": str(trap)}
    for words in (("plan",), ("apply", "--yes")):
        bare.run(*words, env=env).expect(0)
    assert not mark.exists()
    assert json.loads((bare.status / "fleet.json").read_text())
