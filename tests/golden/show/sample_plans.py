"""Build the plans that the golden files are drawn from."""

from __future__ import annotations

import msgspec

from reconciler.model.effect import CreateContainer, DropPath, Effect, PullImage, RemoveContainer, StopContainer
from reconciler.model.plan import (
    Action,
    Apply,
    Bucket,
    Cause,
    FieldChange,
    Held,
    Matched,
    Plan,
    ResourceChange,
    Step,
    Summary,
    Verb,
)
from reconciler.model.rule import Remedy
from reconciler.model.source import SourceRef
from tests import builders as b


def a_field(path: str, old: str | None, new: str | None, **over: object) -> FieldChange:
    given = {"path": path, "old": old, "new": new, "remedy": Remedy.IN_PLACE, "origin": "intent", **over}
    return FieldChange(**given)  # type: ignore[arg-type]  # the keywords are those of FieldChange


def named(name: str, host: str, **over: object) -> Action:
    return b.an_action(**{"id": f"{host}/{name}", "sandbox": name, "host": host, **over})


def replaced() -> Action:
    fields = (
        a_field(
            "containers.main.image",
            "python:3.12",
            "python:3.13",
            remedy=Remedy.REPLACE,
            at=SourceRef("specs/agents.yaml", 14, 9),
        ),
        a_field("containers.main.resources.memory", "4GiB", "6GiB", at=SourceRef("profiles/agent.yaml", 22, 9)),
    )
    change = ResourceChange(key="containers/main", verb=Verb.REPLACE, changes=fields, unchanged=21, irreversible=False)
    return named(
        "agent-7",
        "h3",
        verb=Verb.REPLACE,
        bucket=Bucket.DRIFTED,
        strategy="stop-first",
        resources=(change,),
        cause=Cause("containers.main.image changed", fields[0].at),
    )


def replaced_start_first() -> Action:
    field = a_field("containers.main.env.TOKEN", "(secret)", "(secret)", remedy=Remedy.REPLACE)
    change = ResourceChange(
        key="containers/main",
        verb=Verb.REPLACE,
        changes=(field,),
        unchanged=1,
        irreversible=True,
        note="its anonymous volumes go with it",
    )
    return named("agent-8", "h3", verb=Verb.REPLACE, bucket=Bucket.DRIFTED, strategy="start-first", resources=(change,))


def created() -> Action:
    container = b.a_container(image="registry.example/web:1.4")
    steps = (
        Step(id="s1", do=Apply(PullImage(container.image)), title="pull registry.example/web:1.4"),
        Step(id="s2", do=Apply(CreateContainer(b.docker_name("web-1"), container, {})), title="create main"),
    )
    resources = (
        ResourceChange(key="directories/cache", verb=Verb.CREATE),
        ResourceChange(key="containers/main", verb=Verb.CREATE),
    )
    return named("web-1", "h1", steps=steps, resources=resources, after=("h1/db-1",))


def drifted() -> Action:
    field = a_field("containers.main.state", "exited (1)", "running", remedy=Remedy.START, origin="drift")
    change = ResourceChange(key="containers/main", verb=Verb.START, changes=(field,), unchanged=30)
    return named("db-1", "h1", verb=Verb.START, bucket=Bucket.DRIFTED, resources=(change,))


def destroyed() -> Action:
    name = b.docker_name("old-1")
    target = b.existing(name=name)
    effects: tuple[tuple[str, Effect], ...] = (
        (f"stop {name}", StopContainer(target, 10)),
        (f"remove {name}", RemoveContainer(target)),
        (f"remove {b.BASE_DIR}/0a1b2c3d", DropPath(f"{b.BASE_DIR}/0a1b2c3d", b.BASE_DIR, "2049:7")),
    )
    steps = tuple(Step(id=f"s{at}", do=Apply(effect), title=title) for at, (title, effect) in enumerate(effects))
    return named(
        "old-1",
        "h2",
        verb=Verb.DESTROY,
        bucket=Bucket.REMOVED,
        cause=Cause("no spec wants it any more"),
        steps=steps,
        removes=True,
        notes=("volume sbx-lab.old-1.data is data and stays",),
    )


def everything() -> Plan:
    vanished = named(
        "web-2",
        "h1",
        bucket=Bucket.ZOMBIE_WANTED,
        cause=Cause("in the records, and gone from h1", b.a_ref()),
        notes=("it vanished from its host behind the reconciler's back",),
    )
    adopted = named("web-3", "h2", verb=Verb.ADOPT, bucket=Bucket.UNRECORDED, cause=Cause("ours on the host"))
    forgotten = named("gone-1", "h2", verb=Verb.FORGET, bucket=Bucket.ZOMBIE, cause=Cause("gone, and not wanted"))
    reaped = named(
        "canary-3", "h2", verb=Verb.REAP, bucket=Bucket.ORPHAN, cause=Cause("an orphan, 90000 s old"), removes=True
    )
    return b.a_plan(
        drifted(),
        vanished,
        created(),
        replaced(),
        replaced_start_first(),
        destroyed(),
        adopted,
        forgotten,
        reaped,
        held=(
            Held(
                sandbox="agent-9",
                host="h4",
                bucket=Bucket.HELD,
                reason="Protected",
                message="it is protected, and this change would replace it",
                hint="set protect: false in its spec to allow that",
            ),
            unknown("agent-10", "h9", hint="is the host on, and does its firewall let you in?"),
            unknown("agent-11", "h9"),
            unknown("agent-12", "h11"),
            msgspec.structs.replace(
                unknown("agent-13", "h12", hint="put the Host document back"), reason="HostNotInSpecs"
            ),
        ),
        matched=(
            matched("calm-1", "h1"),
            Matched(
                sandbox="kept-1", host="h2", bucket=Bucket.RETAINED, generation=1, run=b.RUN, listed="retained: kept"
            ),
        ),
        unknown_hosts={
            "h9": "h9 did not answer within 10 s",
            "h11": "h11 refused the connection",
            "h12": "host h12 is in the records and not in the specs",
        },
        summary=Summary(create=2, update=1, replace=2, destroy=1, adopt=1, forget=1, reap=1, unknown=3, held_back=1),
    )


def unknown(name: str, host: str, *, hint: str | None = None) -> Held:
    message = f"{host} did not answer, so nothing is done to it"
    return Held(sandbox=name, host=host, bucket=Bucket.UNKNOWN, reason="HostUnreachable", message=message, hint=hint)


def matched(name: str, host: str) -> Matched:
    return Matched(sandbox=name, host=host, bucket=Bucket.MATCHING, generation=1, run=b.RUN)


def calm() -> Plan:
    return b.a_plan(matched=tuple(matched(f"s-{at}", f"h{at % 38}") for at in range(214)))


def only_held() -> Plan:
    held = Held(
        sandbox="web-1",
        host="h1",
        bucket=Bucket.CLASH,
        reason="NameTaken",
        message=f"container name {b.docker_name()} is taken by somebody else: {b.full_id('x')}",
        hint=f"remove or rename it, or take it over with: reconcile adopt {b.full_id('x')}",
    )
    return b.a_plan(held=(held,), matched=(matched("calm-1", "h1"),), summary=Summary(held_back=1))


def refused() -> Plan:
    return b.a_plan(
        destroyed(),
        refused=(Cause("this plan removes 12 of 20 sandboxes of the fleet; the budget is 6 (30 %)"),),
        summary=Summary(destroy=1),
    )


def hostile() -> Plan:
    field = a_field("containers.main.env.PS1", "\x1b[2J\x1b]0;owned\x07", "a\r\nb\u202egnp.exe")
    change = ResourceChange(key="containers/main", verb=Verb.UPDATE, changes=(field,))
    return b.a_plan(named("web-1", "h1", verb=Verb.UPDATE, bucket=Bucket.DRIFTED, resources=(change,)))
