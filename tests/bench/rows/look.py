"""Look at many hosts: over connections that stand, and as one cold process."""

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from reconciler.host import open_gate, open_reader
from reconciler.host.interface import Reader
from reconciler.model.observed import Reachable
from tests.bench.cold_look import desired_of, look
from tests.bench.row import Contender, Missing, Row, times_faster
from tests.bench.sample import Sample, own_cpu_s, run_process
from tests.bench.setting import Setting
from tests.bench.stage import ASK
from tests.e2e.driver import command
from tests.lab.missing import LabError

_AT_ONCE = "32"
OURS, BARE = "reconciler", "reconciler, without counters"
MASTERS, RAW, FACTS = "ssh ControlMaster", "Ansible raw", "Ansible setup + docker_host_info"
COLD_SSH, COLD_DOCKER, PYINFRA = "ssh", "docker -H ssh://", "pyinfra"
_FACTS_PLAYBOOK = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.setup": {}}, {"community.docker.docker_host_info": {"containers": True}}],
    }
]


@contextmanager
def _warm(setting: Setting) -> Iterator[Sequence[Contender | Missing]]:
    count = setting.sizes.connections
    fleet = setting.fleet.fleet
    with asyncio.Runner() as runner:
        desired = desired_of([setting.stage.access(index, fleet=fleet) for index in range(count)], fleet=fleet)
        gate = open_gate()
        readers: dict[str, Reader] = {name: open_reader(host.access, gate=gate) for name, host in desired.hosts.items()}

        async def ours(*, with_facts: bool) -> Sample:
            before_s, began_s = own_cpu_s(), asyncio.get_running_loop().time()
            sighting = await look(desired, readers, with_facts=with_facts)
            wall_s = asyncio.get_running_loop().time() - began_s
            lost = [name for name, state in sighting.observed.hosts.items() if not isinstance(state, Reachable)]
            if lost:
                raise LabError(f"{len(lost)} of {count} connections gave no answer, {lost[0]} among them")
            return Sample(wall_s=wall_s, cpu_s=own_cpu_s() - before_s)

        async def close() -> None:
            for reader in readers.values():
                await reader.close()

        runner.run(ours(with_facts=True))  # connects
        try:
            yield [
                Contender(name=OURS, ours=True, run=lambda: runner.run(ours(with_facts=True))),
                Contender(name=BARE, ours=True, run=lambda: runner.run(ours(with_facts=False))),
                *_warm_peers(setting),
            ]
        finally:
            runner.run(close())


def _warm_peers(setting: Setting) -> list[Contender]:
    if not setting.peers.wanted:
        return []
    stage, count = setting.stage, setting.sizes.connections
    names, masters = stage.names(count), stage.masters(count)
    config = stage.ssh_config(count, shared=True)
    tools = setting.peers.ansible
    env = stage.ansible_env(shared=True, count=count)
    inventory = stage.ansible_inventory(names)
    playbook = stage.folder / "facts.json"
    playbook.write_text(json.dumps(_FACTS_PLAYBOOK))
    ssh = ["xargs", "-P", _AT_ONCE, "-I", "{}", *setting.peers.ssh.argv, "-F", str(config), "{}", ASK]
    raw = [
        tools.program("ansible"),
        "-i",
        str(inventory),
        "all",
        "-m",
        "raw",
        "-a",
        ASK.replace("{{json .}}", "{% raw %}{{json .}}{% endraw %}"),
    ]
    facts = [tools.program("ansible-playbook"), "-i", str(inventory), str(playbook)]
    stdin = "".join(f"{name}\n" for name in names).encode()
    return [
        Contender(name=MASTERS, run=lambda: run_process(ssh, stdin=stdin, helpers=masters)),
        Contender(name=RAW, run=lambda: run_process(raw, env=env, helpers=masters)),
        Contender(name=FACTS, run=lambda: run_process(facts, env=env, helpers=masters)),
    ]


LOOK_WARM = Row(
    name="look-warm",
    work=lambda setting: f"look at {setting.sizes.connections} hosts over connections that stand",
    open=_warm,
    goals=(
        times_faster(OURS, MASTERS, times=4),
        times_faster(OURS, RAW, times=8),
        times_faster(OURS, FACTS, times=80),
    ),
    remarks=(
        (
            "The connections lead to fewer real hosts, several to each: whoever asks does the same work, and the "
            "hosts' share of it, on the same cores here, does not grow with more machines."
        ),
        (
            "Ours reads the counters for rates over 200 ms, inspects each container of its fleet, and lists "
            "networks, volumes and markers; the others print /proc and a list of containers once."
        ),
        "CPU of peers includes their ssh masters, which stand before the clock starts, as our connections do.",
        (
            "The limit, as the CPU of every process on both sides showed on a busy day: one look of ours took 22 ms, 5 "
            "of them the client's, 3 the engine's for six requests, 1 sshd's, and 13 the two scripts', most of it to "
            "begin a shell, `date`, `stat`, `grep` and `stat -f`; one of ssh ControlMaster took 45, 38 of them the "
            "host's, for Docker's command line above all. A quarter of 45 is 11, and the hosts' share of ours alone is "
            "17: on shared cores four times is out of reach while counters are read. Without them it was 12."
        ),
    ),
)


@contextmanager
def _cold(setting: Setting) -> Iterator[Sequence[Contender | Missing]]:
    stage, count = setting.stage, setting.sizes.connections
    driver = setting.fleet
    ways = setting.room("cold-look") / "ways.json"
    ways.write_bytes(msgspec.json.encode([stage.access(index, fleet=driver.fleet) for index in range(count)]))
    ours = [sys.executable, "-m", "tests.bench.cold_look", driver.fleet, str(ways)]
    env = setting.env(driver.home)
    plan = [*command(), "plan"]
    found = [
        Contender(name=OURS, ours=True, run=lambda: run_process(ours, env=env)),
        Contender(
            name=f"reconcile plan, {len(stage.hosts)} hosts",
            ours=True,
            run=lambda: run_process(plan, env=env, cwd=driver.folder),
        ),
    ]
    yield [*found, *(_cold_peers(setting, ways.parent) if setting.peers.wanted else [])]


def _cold_peers(setting: Setting, room: Path) -> list[Contender]:
    stage, count = setting.stage, setting.sizes.connections
    names = stage.names(count)
    config = stage.ssh_config(count, shared=False)
    stdin = "".join(f"{name}\n" for name in names).encode()
    ssh = ["xargs", "-P", _AT_ONCE, "-I", "{}", *setting.peers.ssh.argv, "-F", str(config), "{}", ASK]
    docker_env = stage.docker_ssh_env(names[0], count=count)
    listing = [*setting.peers.docker.argv, "-H", "ssh://{}", "ps", "--all", "--no-trunc", "--format", "json"]
    docker = ["xargs", "-P", _AT_ONCE, "-I", "{}", *listing]
    pyinfra = [*setting.peers.pyinfra.argv, "--yes", str(stage.pyinfra_inventory(count)), "exec", "--", ASK]
    env = {**setting.env(room), "PYTHONPATH": ""}
    return [
        Contender(name=COLD_SSH, run=lambda: run_process(ssh, stdin=stdin)),
        Contender(name=COLD_DOCKER, run=lambda: run_process(docker, stdin=stdin, env=docker_env)),
        Contender(name=PYINFRA, run=lambda: run_process(pyinfra, env=env, cwd=room)),
    ]


LOOK_COLD = Row(
    name="look-cold",
    work=lambda setting: f"look at {setting.sizes.connections} hosts, as one cold process",
    open=_cold,
    goals=(times_faster(OURS, PYINFRA, times=1.8), times_faster(OURS, COLD_DOCKER, times=3)),
    remarks=(
        (
            "Ours is a process that looks through the library, since one machine is refused under several Host "
            "documents; beside it the command itself, on the real hosts."
        ),
        "ssh uses curve25519, as ours does; with its post-quantum default it would pay about six times that CPU.",
        "`docker -H ssh://` lists containers and reads no counters.",
        (
            "The limit: both goals ask for less time than ssh itself takes. A login that runs `true` cost a host 23 ms "
            "of CPU, and ssh 14: a hundred of them keep both cores busy for 1.9 s, whoever logs in, and the looks for "
            "as long as in the table above."
        ),
    ),
)
