"""Make a removed container anew, beside Docker's own create and start."""

import asyncio
import contextlib
import http.client
import json
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from reconciler.apply.ports import Interrupt, Observer
from reconciler.cli.clock import SystemClock
from reconciler.cli.ground import lay_ground
from reconciler.host import open_gate, open_host
from reconciler.model.delta import ProvisionDelta
from reconciler.model.desired import HostDesired
from reconciler.model.outcome import ActionEnded
from reconciler.model.plan import Action
from reconciler.passes import Answer, PassAsked, apply_pass
from reconciler.passes import Setting as PassSetting
from reconciler.plan import PlanRequest
from tests.bench.row import Contender, Missing, Row, at_most, within
from tests.bench.sample import Sample, own_cpu_s, run_process
from tests.bench.setting import Setting
from tests.bench.specs import MEMORY, PORT, declare_web
from tests.bench.stage import IMAGE
from tests.e2e.driver import Driver, command
from tests.lab.host import LabHost
from tests.lab.missing import LabError

if TYPE_CHECKING:
    from reconciler.host.interface import Host

DOCKER = "Docker's create + start"
HEALED, PASS, COMMAND = "until it is ready again", "whole pass, deltas included", "reconcile apply, cold"
_MEMORY_BYTES = int(MEMORY.removesuffix("m")) << 20
_BODY = {
    "Image": IMAGE,
    "Env": ["MODE=fast"],
    "ExposedPorts": {f"{PORT}/tcp": {}},
    "HostConfig": {
        "Memory": _MEMORY_BYTES,
        "PortBindings": {f"{PORT}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
        "RestartPolicy": {"Name": "unless-stopped"},
    },
}


class _Standing:
    """Give a pass one connection that stands: closing it is the bench's business."""

    def __init__(self, host: "Host") -> None:
        self._host = host

    def __getattr__(self, name: str) -> object:
        return getattr(self._host, name)

    async def close(self) -> None:
        """Leave it open."""


class _Doors:
    def __init__(self, host: "Host") -> None:
        self._standing = cast("Host", _Standing(host))

    def reader(self, host: HostDesired) -> "Host":
        assert host.name
        return self._standing

    def host(self, host: HostDesired) -> "Host":
        assert host.name
        return self._standing


class _Watch(Observer):
    """Note when the one action ended: the container runs and its probe has passed."""

    def __init__(self) -> None:
        self.ended_s = 0.0
        self.said = ""

    def action_ended(self, action: Action, ended: ActionEnded) -> None:
        self.ended_s = SystemClock().monotonic()
        self.said = f"{action.address} {ended.end} {ended.message or ''}"

    def measured(self, action: Action, delta: ProvisionDelta) -> None:
        """See the delta."""


class _Healer:
    """Heal through the library, over one connection that stands, as a resident process would."""

    def __init__(self, driver: Driver, host: LabHost) -> None:
        self._driver = driver
        self._lab = host
        self._passes = 0
        ground = lay_ground(driver.specs, driver.status)
        self._ground = ground
        wanted = next(iter(ground.desired.hosts.values()))
        self._host = open_host(wanted.access, gate=open_gate(), clock=ground.clock.now)

    async def heal(self) -> tuple[Sample, Sample]:
        """Remove the container and heal it; give what it took until ready, and the whole pass."""
        self.remove()
        watch, clock = _Watch(), self._ground.clock
        setting = PassSetting(
            store=self._ground.store,
            doors=_Doors(self._host),
            clock=clock,
            owner="bench",
            lock_timeout_s=5,
            agree=lambda _: Answer.YES,
            observer=watch,
            interrupt=Interrupt(),
        )
        self._passes += 1
        request = PlanRequest(now=clock.now(), pass_id=f"{self._ground.pass_id}-{self._passes}", tool="bench")
        question = PassAsked(desired=self._ground.desired, request=request, ancestors=lambda found: found)
        before_s, began_s = own_cpu_s(), clock.monotonic()
        passed = await apply_pass(question, setting)
        over_s, cpu_s = clock.monotonic(), own_cpu_s() - before_s
        if passed.ended is None or [action.end for action in passed.ended.actions] != ["done"]:
            raise LabError(f"the container was not healed: {watch.said or passed.planned.plan.held}")
        return (
            Sample(wall_s=watch.ended_s - began_s, cpu_s=None),
            Sample(wall_s=over_s - began_s, cpu_s=cpu_s),
        )

    def remove(self) -> None:
        """Remove the container behind the reconciler's back."""
        self._lab.docker("rm", "--force", *self._driver.containers(self._lab).values())

    async def close(self) -> None:
        """Close the connection."""
        await self._host.close()


@contextmanager
def _open(setting: Setting) -> Iterator[Sequence[Contender | Missing]]:
    host = setting.stage.host(0)
    driver = Driver(setting.room("heal"), fleet="bheal")
    declare_web(driver, [host], each=1)
    driver.run("apply", "--yes").expect(0)
    whole: deque[Sample] = deque()
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        healer = _Healer(driver, host)
        stack.callback(lambda: runner.run(healer.close()))
        runner.run(healer.heal())  # connects, and imports what a resident process has imported

        def healed() -> Sample:
            until_ready, until_over = runner.run(healer.heal())
            whole.append(until_over)
            return until_ready

        def passed() -> list[Sample]:
            """Give what the heals since the last turn took as a whole."""
            found = list(whole)
            whole.clear()
            return found

        def cold() -> Sample:
            healer.remove()
            return run_process([*command(), "apply", "--yes"], env=setting.env(driver.home), cwd=driver.folder)

        yield [
            Contender(name=HEALED, ours=True, run=healed),
            Contender(name=DOCKER, run=lambda: _docker(host)),
            Contender(name=PASS, ours=True, run=passed),
            Contender(name=COMMAND, ours=True, run=cold),
        ]
    driver.clear(host)


def _docker(host: LabHost) -> Sample:
    """Create and start a container over the engine's own socket, and remove it off the clock."""
    connection = http.client.HTTPConnection("docker")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.connect(str(host.docker_socket))
    clock = SystemClock()
    before_s, began_s = own_cpu_s(), clock.monotonic()
    made = _post(connection, "/containers/create", _BODY)["Id"]
    _post(connection, f"/containers/{made}/start", None)
    sample = Sample(wall_s=clock.monotonic() - began_s, cpu_s=own_cpu_s() - before_s)
    connection.close()
    host.docker("rm", "--force", made)
    return sample


def _post(connection: http.client.HTTPConnection, path: str, body: object) -> dict[str, str]:
    data = b"" if body is None else json.dumps(body).encode()
    connection.request("POST", path, body=data, headers={"Content-Type": "application/json"})
    reply = connection.getresponse()
    said = reply.read()
    if reply.status >= http.client.BAD_REQUEST:
        raise LabError(f"the engine refused {path}: {said.decode(errors='replace')[:300]}")
    return json.loads(said) if said else {}


HEAL = Row(
    name="heal",
    work=lambda _: "heal a removed container",
    open=_open,
    turns=lambda setting: setting.sizes.heals,
    goals=(at_most(HEALED, DOCKER, times=1.3), within(HEALED, limit_s=1.0, worst=True)),
    remarks=(
        (
            "Over one connection that stands: look, plan, create, start, and the HTTP probe. Docker's own time is of "
            "two requests on its socket, without SSH, after which the container may not answer yet."
        ),
        "Nothing here listens for the removal: this version is told by the next apply.",
        "The worst stands for the 99th percentile: there are at most a hundred samples.",
    ),
)
