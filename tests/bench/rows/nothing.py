"""Find out, as a cold process, that nothing is to be done on one host."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.row import Contender, Missing, Row, above
from tests.bench.rows.create import ANSIBLE, V1, V2, V2_SSH, remove_all
from tests.bench.sample import run_process
from tests.bench.setting import Setting
from tests.bench.specs import declare_web, web, write_compose, write_playbook
from tests.e2e.driver import Driver, command

OVER_SSH, LOCAL = "reconcile plan", "reconcile plan, local host"
APPLY, APPLY_LOCAL = "reconcile apply", "reconcile apply, local host"
IMPORTS, IMPORT_HTTP = "import asyncssh, aiohttp", "import aiohttp"
EXTRA_S = 0.25


@contextmanager
def _open(setting: Setting) -> Iterator[Sequence[Contender | Missing]]:
    stage, count = setting.stage, setting.sizes.settled
    over_ssh = Driver(setting.room("nothing"), fleet="bnothing")
    declare_web(over_ssh, [stage.host(0)], each=count)
    local = Driver(setting.room("nothing-local"), fleet="blocal")
    _declare_local(local, setting, count)
    found = []
    for driver, names in ((over_ssh, (OVER_SSH, APPLY)), (local, (LOCAL, APPLY_LOCAL))):
        driver.run("apply", "--yes").expect(0)
        for name, words in zip(names, (["plan", "--detailed-exitcode"], ["apply", "--yes"]), strict=True):
            found.append(_command(setting, driver, name, words))
    for name in (IMPORTS, IMPORT_HTTP):
        words = [sys.executable, "-c", name]
        found.append(Contender(name=name, run=lambda words=words: run_process(words, env=setting.env(local.home))))  # type: ignore[misc]  # bound per turn of the loop
    try:
        yield [*found, *(_peers(setting, over_ssh.folder, count) if setting.peers.wanted else [])]
    finally:
        over_ssh.clear(stage.host(0))
        local.clear(stage.host(1))
        if setting.peers.wanted:
            for index in (2, 3, 4):
                remove_all(stage.host(index))


def _command(setting: Setting, driver: Driver, name: str, words: list[str]) -> Contender:
    argv, env = [*command(), *words], setting.env(driver.home)
    return Contender(name=name, ours=True, run=lambda: run_process(argv, env=env, cwd=driver.folder))


def _declare_local(driver: Driver, setting: Setting, count: int) -> None:
    host = setting.stage.host(1)
    driver.declare_fleet()
    spec = {"address": "local", "dockerSocket": str(host.docker_socket), "baseDir": str(driver.folder / "base")}
    driver.declare("Host", "here", spec)
    for index in range(count):
        driver.declare_sandbox(f"web-{index}", **web("here"))


def _peers(setting: Setting, room: Path, count: int) -> list[Contender]:
    stage, peers = setting.stage, setting.peers
    file = write_compose(room / "compose.yaml", count)
    up = ["-p", "bench", "-f", str(file), "up", "-d"]
    v2, v1 = [*peers.compose_v2.argv, *up], [*peers.compose_v1.argv, *up]
    v1_env = {**stage.docker_env(3), **peers.compose_v1.env}
    name = stage.names(len(stage.hosts))[4 % len(stage.hosts)]
    ansible = [
        peers.ansible.program("ansible-playbook"),
        "-i", str(stage.ansible_inventory([name])),
        str(write_playbook(room / "playbook.json", count)),
    ]  # fmt: skip
    ansible_env = stage.ansible_env(shared=False, count=len(stage.hosts))
    v2_name = stage.names(len(stage.hosts))[2 % len(stage.hosts)]
    v2_ssh_env = stage.docker_ssh_env(v2_name, count=len(stage.hosts))
    for argv, env in ((v2, stage.docker_env(2)), (v1, v1_env), (ansible, ansible_env)):
        run_process(argv, env=env)
    return [
        Contender(name=V2, run=lambda: run_process(v2, env=stage.docker_env(2))),
        Contender(name=V2_SSH, run=lambda: run_process(v2, env=v2_ssh_env)),
        Contender(name=V1, run=lambda: run_process(v1, env=v1_env)),
        Contender(name=ANSIBLE, run=lambda: run_process(ansible, env=ansible_env)),
    ]


NOTHING = Row(
    name="nothing",
    work=lambda setting: f"find nothing to do on one host with {setting.sizes.settled} containers, cold process",
    open=_open,
    goals=(
        above(OVER_SSH, IMPORTS, extra_s=EXTRA_S),
        above(LOCAL, IMPORT_HTTP, extra_s=EXTRA_S),
        above(APPLY, IMPORTS, extra_s=EXTRA_S + 0.2),
    ),
    remarks=(
        (
            "`reconcile apply` also holds two locks, asks each container's HTTP probe, and reads counters for "
            "200 ms apart: 0.2 s are added to its goal for that pause."
        ),
        "compose on the socket neither logs in nor asks whether anything answers.",
        "A `local` host needs no SSH, so its goal is above the import of the HTTP client alone.",
    ),
)
