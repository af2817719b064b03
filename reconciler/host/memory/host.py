"""Stand in for a real host: the same verbs and outcomes over a `World`, and troubles that happen when told to.

One `MemoryHost` is one connection. Several may share a world, as several controllers share a machine; the world's
lock, names and targets then decide between them. Nothing here sleeps or reads a clock by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from reconciler.errors import HostError, ReadFailed
from reconciler.host.interface import Busy, Lease, Progress, Question
from reconciler.host.memory.effects import perform
from reconciler.host.memory.faults import Fault, Late, LostReply, LostRequest, Refuse, Script, Slow, Verb
from reconciler.host.memory.files import make_base_dir, see_host_id, see_markers, see_path, see_roots
from reconciler.host.memory.parts import Happened, Lock, ManualClock
from reconciler.host.memory.probes import answer
from reconciler.host.memory.weights import group_use, weigh
from reconciler.host.memory.world import World
from reconciler.model.effect import Effect, NotDone, Outcome, Unknown
from reconciler.model.observed import (
    HostIdentity,
    HostView,
    ImageAbsent,
    ImageFact,
    Neighbour,
    SeenContainer,
    SeenLock,
)
from reconciler.model.ownership import is_of_fleet
from reconciler.model.probe import Probe, ProbeFailed, ProbeResult
from reconciler.model.snapshot import Disks, DiskUse, DockerDisk, HostSnapshot, Weight
from reconciler.model.text import Template, bind, printable

VIEWS_KEPT = 16
Sleep = Callable[[float], Awaitable[object]]


_DOCKER_DISK = DockerDisk(images_bytes=1 << 30, containers_bytes=1 << 20, volumes_bytes=0, build_cache_bytes=0)


class MemoryLease:
    """Hold the lock of a world until it is released or lost."""

    def __init__(self, world: World, key: str, lock: Lock) -> None:
        self._world, self._key, self.lock = world, key, lock
        self.line, self.before = lock.line, lock.before

    @property
    def lost(self) -> bool:
        """Tell whether somebody else may have the lock by now."""
        return self._world.locks.get(self._key) != self.lock

    async def release(self) -> None:
        """Give the lock back; safe to call twice."""
        if not self.lost:
            self._world.given_back[self._key] = self.line
        self.drop()

    def drop(self) -> None:
        """Let the lock go, as the end of a connection does."""
        if not self.lost:
            del self._world.locks[self._key]


class MemoryHost:
    """Be a `Host` over a `World`.

    Attributes:
        world: the machine behind it.
        script: what will go wrong on this connection.
        outage: while set, nothing reaches the machine and every read raises it.
        latency_s: how long a request and a reply each take on `sleep`.
    """

    def __init__(
        self,
        name: str = "h1",
        world: World | None = None,
        *faults: Fault,
        base_dir: str | None = None,
        sleep: Sleep | None = None,
        latency_s: float = 0.0,
    ) -> None:
        self.world = World(seed=name) if world is None else world
        self.script = Script(*faults)
        self.outage: HostError | None = None
        self.latency_s = latency_s
        self._name = name
        self._base_dir = self.world.base_dir if base_dir is None else base_dir
        clock = self.world.clock
        self._sleep: Sleep = sleep or (clock.sleep if isinstance(clock, ManualClock) else ManualClock().sleep)
        self._lease: MemoryLease | None = None
        self._views: list[HostView] = []

    @property
    def name(self) -> str:
        """Give the host's name in the specs."""
        return self._name

    async def identify(self) -> HostIdentity:
        """Say whose machine answers."""
        await self._ask("identify")
        return self._identity()

    async def look(self, question: Question, *, now: Callable[[], datetime]) -> HostView:
        """Look once, in full."""
        await self._ask("look")
        back = self.script.on_look()
        view = self._look(question, now=now)
        self._views = [*self._views, view][-VIEWS_KEPT:]
        return self._views[-1 - min(back, len(self._views) - 1)]

    async def facts(
        self,
        container_ids: tuple[str, ...],
        *,
        now: Callable[[], datetime],
        with_docker_disk: bool = False,
        with_gpus: bool = True,
    ) -> HostSnapshot:
        """Measure the made-up machine: idle, with memory that running containers take up to their limits."""
        await self._ask("facts")
        world = self.world
        running = [seen for seen in world.containers.values() if seen.live.state == "running"]
        used = sum(seen.spec.memory_bytes or 64 << 20 for seen in running)
        gpus = world.gpus if with_gpus else None
        why = "nvidia-smi failed or did not answer in 4 s" if with_gpus else "GPUs were not asked for"
        disk = DiskUse(
            path="/", total_bytes=64 << 30, available_bytes=48 << 30, inodes_total=1 << 22, inodes_free=1 << 21
        )
        return HostSnapshot(
            host=self._name,
            collected_at=now(),
            boot_id=world.boot_id,
            uptime_s=1000.0,
            clock_epoch_s=int(world.clock()),
            load_1=0.0,
            load_5=0.0,
            load_15=0.0,
            cpu_count=4,
            cpu_percent=0.0,
            memory_total_bytes=64 << 30,
            memory_available_bytes=max((62 << 30) - used, 0),
            swap_total_bytes=0,
            swap_free_bytes=0,
            pressure_cpu=None,
            pressure_memory=None,
            pressure_io=None,
            disks=Disks(root=disk, base_dir=disk, docker_root=disk),
            containers_running=len(running),
            containers_total=len(world.containers),
            gpus=gpus,
            docker_disk=_DOCKER_DISK if with_docker_disk else None,
            sandboxes={seen.full_id: group_use(world, seen) for seen in running if seen.full_id in container_ids},
            missing={
                **{f"pressure_{kind}": "a made-up machine has none" for kind in ("cpu", "memory", "io")},
                **({} if with_docker_disk else {"docker_disk": "the engine was not asked"}),
                **({} if gpus is not None else {"gpus": why}),
            },
        )

    async def weigh(self, containers: tuple[str, ...]) -> dict[str, Weight]:
        """Measure what containers take by themselves."""
        await self._ask("weigh")
        found = ((asked, self.world.containers.get(asked) or self.world.by_name(asked)) for asked in containers)
        return {asked: weigh(self.world, seen) for asked, seen in found if seen is not None}

    async def find(self, name: str) -> SeenContainer | None:
        """Inspect one container by its exact Docker name or full id."""
        await self._ask("find")
        return self.world.containers.get(name) or self.world.by_name(name)

    async def probe(self, probe: Probe, container: str) -> ProbeResult:
        """Ask one probe once."""
        await self._ask("probe")
        seen = self.world.by_name(container)
        return ProbeFailed(f"there is no container {container}") if seen is None else answer(self.world, probe, seen)

    async def logs(self, full_id: str, *, lines: int) -> tuple[str, ...]:
        """Read the last lines of a container's output."""
        await self._ask("logs")
        if full_id not in self.world.containers:
            raise ReadFailed(f"host {self._name} has no container {full_id[:12]}", code="E_TARGET_GONE")
        return tuple(printable(line, kept="\t") for line in self.world.output[full_id][-lines:]) if lines > 0 else ()

    async def close(self) -> None:
        """Give the lock back and close the connection."""
        if self._lease is not None:
            await self._lease.release()
        self.cut()

    def cut(self) -> None:
        """Lose the connection, and with it the lock; the next read makes another one."""
        if self._lease is not None:
            self._lease.drop()
        self._lease = None

    async def hold(self, owner: str) -> Lease | Busy:
        """Take the host's lock, or learn who has it."""
        await self._ask("hold")
        there = self.world.locks.get(self._base_dir)
        if there is not None:
            return Busy(holder=there.owner, since=there.since)
        refused = make_base_dir(self.world, self._base_dir)
        if refused is not None:
            raise ReadFailed(f"host {self._name}: {refused.message}", code="E_BASE_DIR")
        since = self.world.now().isoformat(timespec="seconds")
        before = self.world.last_holds.get(self._base_dir, "")
        lock = Lock(owner=owner, since=since, token=self.world.fresh_number(), before=before)
        self.world.locks[self._base_dir] = lock
        self.world.last_holds[self._base_dir] = lock.line
        self._lease = MemoryLease(self.world, self._base_dir, lock)
        return self._lease

    async def effect(self, effect: Effect, *, secrets: dict[str, str], progress: Progress | None = None) -> Outcome:
        """Do one effect, or let happen to it what the script says."""
        self.script.meddle(self.world)
        refused = self._refuse()
        if refused is not None:
            return refused
        bound = bind(effect, {name: str(value) for name, value in secrets.items()})
        symbolic = _symbolic(bound)
        if symbolic is not None:
            return NotDone("E_UNBOUND", f"{symbolic} has no value")
        trouble = self.script.on_effect(effect)
        if isinstance(trouble, Refuse):
            return trouble.outcome
        await self._sleep(self.latency_s + (trouble.seconds if isinstance(trouble, Slow) else 0.0))
        if self.outage is not None:
            return Unknown(why=self.outage.message)
        self._land_late()
        match trouble:
            case LostRequest():
                return Unknown(why="the connection was lost before an answer came")
            case Late():
                self.world.late.append((trouble.effects, bound))
                return Unknown(why="no answer came in time")
            case _:
                outcome = self._perform(bound)
        if progress is not None:
            progress("done")
        await self._sleep(self.latency_s)
        return (
            Unknown(why="the connection was lost before an answer came") if isinstance(trouble, LostReply) else outcome
        )

    # How it is done --------------------------------------------------------------------------------------------------

    def _refuse(self) -> NotDone | None:
        if self.outage is not None:
            return NotDone(self.outage.code, self.outage.message, hint=self.outage.hint, transient=True)
        if self._lease is None or self._lease.lost:
            return NotDone("E_NO_LEASE", f"the lock of host {self._name} is not held, so nothing is changed there")
        return None

    def _perform(self, effect: Effect) -> Outcome:
        outcome = perform(self.world, effect, base_dir=self._base_dir)
        owner = "" if self._lease is None else self._lease.lock.owner
        self.world.happened.append(Happened(effect=effect, outcome=outcome, by=owner))
        return outcome

    def _land_late(self) -> None:
        """Let what was late happen, when its time has come."""
        waiting = [(left - 1, effect) for left, effect in self.world.late]
        self.world.late = [(left, effect) for left, effect in waiting if left > 0]
        for left, effect in waiting:
            if left <= 0:
                outcome = perform(self.world, effect, base_dir=self._base_dir)
                self.world.happened.append(Happened(effect=effect, outcome=outcome, by="late"))

    async def _ask(self, verb: Verb) -> None:
        self.script.meddle(self.world)
        if self.outage is not None:
            raise self.outage
        self.script.on_read(verb)
        await self._sleep(self.latency_s)
        self.world.settle()

    def _identity(self) -> HostIdentity:
        world = self.world
        return HostIdentity(
            host_id=see_host_id(world, self._base_dir),
            home=world.home,
            uid=world.uid,
            gid=world.gid,
            base_dir=self._base_dir,
            docker_root=world.docker_root,
            docker_id=world.derive("docker")[:32],
            machine_id=world.machine_id,
            boot_id=world.boot_id,
            engine_version=world.engine_version,
            api_version=world.api_version,
        )

    def _look(self, question: Question, *, now: Callable[[], datetime]) -> HostView:
        world, fleet = self.world, question.fleet
        by_id = {fact.id: fact for fact in world.images.values()}
        everyone = sorted(world.containers.values(), key=lambda seen: seen.full_id)
        ours = tuple(seen for seen in everyone if is_of_fleet(seen.name, seen.labels, fleet=fleet))
        facts: dict[str, ImageFact | ImageAbsent] = {
            seen.image_id: by_id.get(seen.image_id, ImageAbsent()) for seen in ours
        }
        for reference in question.images:
            facts[reference] = world.images.get(reference) or by_id.get(reference) or ImageAbsent()
        return HostView(
            identity=self._identity(),
            observed_at=now(),
            host_clock_epoch_s=world.clock(),
            containers=ours,
            neighbours=tuple(self._neighbour(seen) for seen in everyone if seen not in ours),
            networks=tuple(
                network
                for network in sorted(world.networks.values(), key=lambda network: (network.name, network.id))
                if is_of_fleet(network.name, network.labels, fleet=fleet)
            ),
            volumes=tuple(
                volume
                for volume in sorted(world.volumes.values(), key=lambda volume: volume.name)
                if is_of_fleet(volume.name, volume.labels, fleet=fleet)
            ),
            images=facts,
            paths={path: see_path(world, path, hashed=path in question.hashed) for path in question.paths},
            markers=see_markers(world, self._base_dir),
            taken_ports=world.taken_ports(),
            roots=see_roots(world, question.roots, base_dir=self._base_dir),
            lock=self.see_lock(),
        )

    def see_lock(self) -> SeenLock:
        """Tell who has the lock, or had it last."""
        there = self.world.locks.get(self._base_dir)
        line = self.world.last_holds.get(self._base_dir, "")
        is_left = there is None and line != self.world.given_back.get(self._base_dir, "")
        return SeenLock(line=line, is_held=there is not None, is_left=is_left)

    def _neighbour(self, seen: SeenContainer) -> Neighbour:
        ports = tuple(sorted(self.world.ports.get(seen.full_id, {}).values()))
        return Neighbour(
            full_id=seen.full_id, name=seen.name, state=seen.live.state, labels=dict(seen.labels), ports=ports
        )


def _symbolic(value: Effect) -> str | None:
    """Find a template that no binding filled in."""
    stack: list[object] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, Template):
            return str(item)
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, tuple):
            stack.extend(item)
        elif hasattr(item, "__struct_fields__"):
            stack.extend(getattr(item, field) for field in item.__struct_fields__)
    return None
