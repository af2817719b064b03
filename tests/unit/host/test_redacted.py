"""What a host gives back holds no known secret, whichever way it comes; what is compared holds it on purpose."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable

import pytest

from reconciler.cli.doors import RealDoors
from reconciler.errors import ConnectFailed, HostError, ReadFailed
from reconciler.host.interface import Busy, Progress, Question
from reconciler.host.memory.faults import EffectFault, LostReply, ReadFault, Refuse, Verb
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import Behaviour
from reconciler.host.memory.world import World
from reconciler.host.redacted import RedactedHost, RedactedReader
from reconciler.model.effect import CreateContainer, Done, Effect, NotDone, Outcome, StartContainer, Unknown
from reconciler.model.probe import HealthProbe, LogProbe, ProbeFailed, ProbeResult, ProbeWaiting
from reconciler.model.redaction import Redactor
from tests import builders as b

CANARY = "canary-0f3a9c"
IMAGE = "lab/app:1"


class Talker:
    """Stand in for a host whose every answer repeats a secret."""

    def __init__(self) -> None:
        self.world = World(seed="talker")
        self.world.add_image(IMAGE)
        self.world.behaviours[IMAGE] = Behaviour(output=("ready", f"token={CANARY}"), start_error=f"bad {CANARY}")
        self.memory = MemoryHost("h1", self.world)
        self.host = RedactedHost(self.memory, Redactor([CANARY]))

    async def make(self) -> str:
        assert not isinstance(await self.host.hold("me"), Busy)
        container = b.a_container(image=IMAGE, env={"TOKEN": CANARY})
        done = await self.host.effect(CreateContainer(b.docker_name(), container, b.labels_for()), secrets={})
        assert isinstance(done, Done)
        assert done.value is not None
        return done.value

    def start(self) -> Effect:
        seen = self.world.by_name(b.docker_name())
        assert seen is not None
        return StartContainer(b.existing(seen))


@pytest.fixture
def talker() -> Talker:
    return Talker()


async def test_the_output_of_a_container_is_redacted(talker: Talker) -> None:
    full_id = await talker.make()
    talker.world.start(full_id)
    assert await talker.host.logs(full_id, lines=5) == ("ready", "token=(secret)")


async def test_what_the_engine_says_of_an_effect_is_redacted(talker: Talker) -> None:
    await talker.make()
    refused = await talker.host.effect(talker.start(), secrets={})
    assert isinstance(refused, NotDone)
    assert refused.message.endswith("bad (secret)")
    outcomes: list[Outcome] = [
        NotDone("E_X", f"no {CANARY}", f"not {CANARY}"),
        Unknown(f"lost {CANARY}"),
        Done(value="a" * 64, warning=f"left {CANARY}"),
    ]
    for outcome in outcomes:
        talker.memory.script.clear()
        talker.memory.script.add(EffectFault(trouble=Refuse(outcome)))  # type: ignore[arg-type]  # any outcome will do
        assert CANARY not in repr(await talker.host.effect(talker.start(), secrets={}))
    assert (await talker.host.effect(talker.start(), secrets={})) != Done(value="a" * 64)


async def test_codes_and_ids_are_not_touched(talker: Talker) -> None:
    full_id = await talker.make()
    host = RedactedHost(talker.memory, Redactor([full_id[3:20], "E_PORT"]))
    talker.memory.script.add(EffectFault(trouble=Refuse(NotDone("E_PORT_CONFLICT", "E_PORT"))))
    refused = await host.effect(talker.start(), secrets={})
    assert refused == NotDone("E_PORT_CONFLICT", "(secret)")
    again = b.a_container(image=IMAGE)
    done = await host.effect(CreateContainer(b.docker_name(), again, b.labels_for()), secrets={})
    assert isinstance(done, Done)
    assert done.value == full_id


async def test_progress_is_redacted(talker: Talker) -> None:
    class Loud(MemoryHost):
        async def effect(self, effect: Effect, *, secrets: dict[str, str], progress: Progress | None = None) -> Outcome:
            assert progress is not None
            progress(f"pulling {CANARY}")
            return await super().effect(effect, secrets=secrets)

    said: list[str] = []
    await talker.make()
    loud = RedactedHost(Loud("h1", talker.world), Redactor([CANARY]))
    await loud.effect(talker.start(), secrets={}, progress=said.append)
    await loud.effect(talker.start(), secrets={})
    assert said == ["pulling (secret)"]


async def test_what_a_probe_says_is_redacted(talker: Talker) -> None:
    seen = talker.world.start(await talker.make())
    logged: ProbeResult = await talker.host.probe(
        LogProbe(name="p", container="main", pattern=f"no {CANARY}"), seen.name
    )
    assert logged == ProbeWaiting("no line holds 'no (secret)' yet")
    gone = await talker.host.probe(HealthProbe(name="p", container="main"), f"no-{CANARY}")
    assert gone == ProbeFailed("there is no container no-(secret)")


ASKS: dict[Verb, Callable[[RedactedHost], Awaitable[object]]] = {
    "identify": lambda host: host.identify(),
    "look": lambda host: host.look(Question(fleet=b.FLEET), now=lambda: b.T0),
    "facts": lambda host: host.facts((), now=lambda: b.T0),
    "find": lambda host: host.find("x"),
    "probe": lambda host: host.probe(HealthProbe(name="p", container="main"), "x"),
    "logs": lambda host: host.logs("0" * 64, lines=1),
    "hold": lambda host: host.hold("me"),
}


@pytest.mark.parametrize("verb", ASKS)
async def test_whatever_is_raised_is_redacted_and_shows_nothing_of_what_it_came_from(
    talker: Talker, verb: Verb
) -> None:
    error = ReadFailed(f"broken by {CANARY}", code="E_X", hint=f"ask {CANARY}", transient=True)
    error.__cause__ = ConnectFailed(f"because of {CANARY}", code="E_Y")
    error.__cause__.__context__ = OSError(5, f"at first {CANARY}")
    talker.memory.script.add(ReadFault(verb=verb, error=error))
    with pytest.raises(HostError) as caught:
        await ASKS[verb](talker.host)
    raised = caught.value
    assert type(raised) is ReadFailed
    assert (raised.message, raised.code, raised.hint) == ("broken by (secret)", "E_X", "ask (secret)")
    assert raised.transient
    assert CANARY not in "".join(traceback.format_exception(raised))


async def test_who_holds_the_lock_is_redacted(talker: Talker) -> None:
    await MemoryHost("h1", talker.world).hold(f"pass of {CANARY}")
    busy = await talker.host.hold("me")
    assert isinstance(busy, Busy)
    assert busy.holder == "pass of (secret)"


async def test_what_is_compared_keeps_its_values(talker: Talker) -> None:
    full_id = await talker.make()
    seen = await talker.host.find(full_id)
    assert seen is not None
    assert seen.spec.env["TOKEN"] == CANARY
    view = await talker.host.look(Question(fleet=b.FLEET), now=lambda: b.T0)
    assert view.containers == (seen,)


async def test_an_outcome_that_never_came_is_redacted_too(talker: Talker) -> None:
    await talker.make()
    talker.memory.outage = ConnectFailed(f"refused by {CANARY}", code="E_X")
    refused = await talker.host.effect(talker.start(), secrets={})
    assert refused == NotDone("E_X", "refused by (secret)", transient=True)
    talker.memory.outage = None
    talker.memory.script.add(EffectFault(trouble=LostReply()))
    assert isinstance(await talker.host.effect(talker.start(), secrets={}), Unknown)


async def test_the_doors_of_every_command_that_knows_secrets_redact() -> None:
    desired = b.a_desired(b.a_sandbox())
    doors = RealDoors(desired, secrets={"secret:hub": CANARY}, now=lambda: b.T0)
    (wanted,) = desired.hosts.values()
    reader, host = doors.reader(wanted), doors.host(wanted)
    assert isinstance(reader, RedactedReader)
    assert isinstance(host, RedactedHost)
    assert host._redactor.text(CANARY) == reader._redactor.text(CANARY) == "(secret)"
    assert not hasattr(reader, "effect")
