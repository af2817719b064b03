"""Create many containers on one host."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.row import Contender, Missing, Row, at_most, times_faster
from tests.bench.sample import Sample, run_process
from tests.bench.setting import Setting
from tests.bench.specs import declare_web, run_loop, write_compose, write_playbook
from tests.e2e.driver import Driver, command
from tests.lab.host import LabHost

OURS = "reconcile apply"
V2, V2_SSH, V1, LOOP, ANSIBLE = "compose v2", "compose v2 over ssh://", "compose v1", "docker run loop", "Ansible"


@contextmanager
def _open(setting: Setting) -> Iterator[Sequence[Contender | Missing]]:
    stage, count = setting.stage, setting.sizes.containers
    driver = Driver(setting.room("create"), fleet="bcreate")
    declare_web(driver, [stage.host(0)], each=count)
    apply = [*command(), "apply", "--yes"]

    def ours() -> Sample:
        sample = run_process(apply, env=setting.env(driver.home), cwd=driver.folder)
        driver.clear(stage.host(0))
        shutil.rmtree(driver.status)
        return sample

    driver.run("validate").expect(0)  # the specs are parsed once for everybody's first round
    found = [Contender(name=OURS, ours=True, run=ours)]
    yield [*found, *(_peers(setting, driver.folder, count) if setting.peers.wanted else [])]


def _peers(setting: Setting, room: Path, count: int) -> list[Contender]:
    stage, peers = setting.stage, setting.peers
    host = stage.host(1)
    file = write_compose(room / "compose.yaml", count)
    playbook = write_playbook(room / "playbook.json", count)
    up = ["-p", "bench", "-f", str(file), "up", "-d"]
    env = stage.docker_env(1)
    own = stage.ansible_env(shared=False, count=len(stage.hosts))
    name = stage.names(len(stage.hosts))[1 % len(stage.hosts)]
    ansible = [peers.ansible.program("ansible-playbook"), "-i", str(stage.ansible_inventory([name])), str(playbook)]
    over_ssh = stage.docker_ssh_env(name, count=len(stage.hosts))
    loop_env = {**env, "PATH": f"{Path(peers.docker.argv[0]).parent}:{env['PATH']}"}
    loop = ["sh", "-c", run_loop(count)]
    v1_env = {**env, **peers.compose_v1.env}
    return [
        Contender(name=V2, run=_cleared(host, lambda: run_process([*peers.compose_v2.argv, *up], env=env))),
        Contender(name=V2_SSH, run=_cleared(host, lambda: run_process([*peers.compose_v2.argv, *up], env=over_ssh))),
        Contender(name=V1, run=_cleared(host, lambda: run_process([*peers.compose_v1.argv, *up], env=v1_env))),
        Contender(name=LOOP, run=_cleared(host, lambda: run_process(loop, env=loop_env))),
        Contender(name=ANSIBLE, run=_cleared(host, lambda: run_process(ansible, env=own))),
    ]


def _cleared(host: LabHost, work: Callable[[], Sample]) -> Callable[[], Sample]:
    """Do the work, then remove every container of the host off the clock."""

    def run() -> Sample:
        try:
            return work()
        finally:
            remove_all(host)

    return run


def remove_all(host: LabHost) -> None:
    """Remove every container of a host that is not one of our fleets'."""
    ids = host.docker("ps", "--all", "--quiet", "--no-trunc").split()
    ours = host.docker("ps", "--all", "--quiet", "--no-trunc", "--filter", "label=dev.reconciler.fleet").split()
    if others := sorted(set(ids) - set(ours)):
        host.docker("rm", "--force", *others)


CREATE = Row(
    name="create",
    work=lambda setting: f"create {setting.sizes.containers} containers on one host",
    open=_open,
    goals=(at_most(OURS, V2, times=1.0), times_faster(OURS, ANSIBLE, times=6)),
    remarks=(
        (
            "Ours goes over SSH, writes a marker for each sandbox, waits until each answers over HTTP, and measures "
            "the host before and after; the others stop once the containers have been started."
        ),
        (
            "compose and `docker run` talk to the socket itself, without SSH, but where the name says so; Ansible goes "
            "over SSH, with pipelining."
        ),
        "All give each container a published port and a limit of memory, on the engine's own bridge.",
        (
            "The limit: 20 containers cost the host 4.1 s of CPU for compose v2, 4.3 s for bare requests on its socket "
            "and 4.9 s for ours, with SSH, scripts, questions and probes; our client takes 0.9 s more. With both cores "
            "busy all the time that is 1.4 times compose v2. `createsPerHost: 8` or 20 cost the same CPU as 4, and "
            "took the same time within the spread."
        ),
    ),
)
