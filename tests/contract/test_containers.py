"""Create, start, stop, update, rename and remove containers: done, not done, asked for twice, on a wrong target."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from reconciler.model.completion import complete
from reconciler.model.effect import (
    CreateContainer,
    Done,
    Existing,
    Made,
    NotDone,
    PullImage,
    RemoveContainer,
    RenameContainer,
    RestartContainer,
    StartContainer,
    StopContainer,
    UpdateContainer,
)
from reconciler.model.names import is_full_id
from reconciler.model.observed import ImageFact
from reconciler.model.resource import Gpus, Mount, Published
from reconciler.model.text import Late, Template
from tests.contract.bench import BUSYBOX, EXITS_3, MISSING, RICH, SLEEPS, look
from tests.contract.case import Case

MIB = 1024 * 1024


async def test_a_created_container_is_there_under_its_name_with_our_labels_and_does_not_run(case: Case) -> None:
    made = await case.done(case.creation())
    assert made.value is not None
    assert is_full_id(made.value)
    seen = await case.see(case.name)
    assert (seen.full_id, seen.live.state) == (made.value, "created")
    assert seen.labels == case.labels(attempt="a-1")


@pytest.mark.parametrize("image", [BUSYBOX, RICH])
async def test_what_is_created_reads_back_as_it_was_completed(case: Case, image: str) -> None:
    want = case.container(image=image, env={"MODE": "fast"}, memory_bytes=64 * MIB, pids=32, command=None)
    await case.done(CreateContainer(name=case.name, container=want, labels=case.labels()))
    seen = await case.see(case.name)
    fact = (await look(case.host, images=(image,))).images[image]
    assert isinstance(fact, ImageFact)
    assert seen.spec == replace(complete(want, image=fact), labels=fact.labels)
    assert seen.image_id == fact.id


@pytest.mark.parametrize("asked", [Gpus(), Gpus(count=2)], ids=["all", "two"])
async def test_gpus_that_were_asked_for_read_back(case: Case, asked: Gpus) -> None:
    seen = await case.make(gpu=asked)
    assert seen.spec.gpu == asked
    want = case.container(gpu=replace(asked, policy="auto", cuda="12.9"))
    fact = (await look(case.host, images=(BUSYBOX,))).images[BUSYBOX]
    assert isinstance(fact, ImageFact)
    assert seen.spec == replace(complete(want, image=fact), labels=fact.labels)


async def test_no_gpus_are_lent_by_an_engine_without_a_driver(case: Case) -> None:
    seen = await case.make(gpu=Gpus(count=1))
    refusal = await case.refused(StartContainer(case.target(seen)))
    assert (refusal.code, refusal.transient) == ("E_GPU_DRIVER", False)
    assert "NVIDIA Container Toolkit" in str(refusal.hint)
    now = await case.see(case.name)
    assert (now.live.state, now.live.exit_code, now.live.error) == (
        "created",
        128,
        'could not select device driver "" with capabilities: [[gpu]]',
    )


async def test_creating_again_with_the_same_attempt_gives_the_same_container(case: Case) -> None:
    first = await case.done(case.creation(attempt="a-7"))
    again = await case.done(case.creation(attempt="a-7"), changed=False)
    assert again.value == first.value


async def test_creating_with_another_attempt_is_refused_and_changes_nothing(case: Case) -> None:
    seen = await case.make()
    refusal = await case.refused(case.creation(attempt="a-2"))
    assert (refusal.code, refusal.transient) == ("E_NAME_CONFLICT", False)
    assert await case.see(case.name) == seen


async def test_a_name_that_somebody_else_has_is_refused(case: Case) -> None:
    theirs = case.bench.run(case.name)
    refusal = await case.refused(case.creation())
    assert refusal.code == "E_NAME_CONFLICT"
    assert theirs in refusal.message
    assert theirs in str(refusal.hint)
    assert (await case.see(case.name)).full_id == theirs


async def test_of_racing_creates_exactly_one_gets_the_name(case: Case) -> None:
    outcomes = await asyncio.gather(*(case.do(case.creation(attempt=f"a-{number}")) for number in range(8)))
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    assert len(done) == 1
    assert sum(isinstance(outcome, NotDone) for outcome in outcomes) == 7
    assert (await case.see(case.name)).full_id == done[0].value


async def test_a_missing_image_is_refused_and_nothing_is_left(case: Case) -> None:
    refusal = await case.refused(case.creation(image="lab/absent:1"))
    assert refusal.code == "E_IMAGE"
    assert "lab/absent:1" in refusal.message
    assert await case.host.find(case.name) is None


async def test_an_image_that_became_another_one_is_refused(case: Case) -> None:
    creation = replace(case.creation(), image_id=f"sha256:{'0' * 64}")
    await case.refused(creation)
    assert await case.host.find(case.name) is None


async def test_an_image_that_carries_labels_of_ours_is_not_run(case: Case) -> None:
    case.bench.label_image("lab/labelled:1", case.labels())
    refusal = await case.refused(case.creation(image="lab/labelled:1"))
    assert refusal.code == "E_IMAGE_LABELS"
    assert await case.host.find(case.name) is None


async def test_the_image_that_was_planned_is_accepted(case: Case) -> None:
    fact = (await look(case.host, images=(BUSYBOX,))).images[BUSYBOX]
    assert isinstance(fact, ImageFact)
    await case.done(replace(case.creation(), image_id=fact.id))


async def test_a_missing_bind_source_is_refused_and_not_made(case: Case) -> None:
    source = f"{case.bench.home}/nowhere"
    refusal = await case.refused(case.creation(mounts={"/data": Mount("bind", source)}))
    assert refusal.code == "E_MOUNT_MISSING"
    assert source in refusal.message
    assert await case.host.find(case.name) is None
    assert (await look(case.host, paths=(source,))).paths[source].kind == "absent"


async def test_an_image_that_is_there_needs_no_pull(case: Case) -> None:
    await case.done(PullImage(BUSYBOX), changed=False)


async def test_a_pull_of_what_no_registry_has_is_not_done(case: Case) -> None:
    refusal = await case.refused(PullImage("127.0.0.1:9/lab/absent:1"))
    assert "lab/absent:1" in refusal.message


async def test_a_started_container_runs(case: Case) -> None:
    seen = await case.make(start=True)
    assert (seen.live.state, seen.live.exit_code) == ("running", 0)
    assert seen.live.started_at is not None


async def test_a_target_without_a_full_id_is_left_alone(case: Case) -> None:
    seen = await case.make()
    refusal = await case.refused(StartContainer(Made(case.name, case.uid)))
    assert refusal.code == "E_UNRESOLVED"
    assert await case.see(case.name) == seen


async def test_starting_what_runs_changes_nothing(case: Case) -> None:
    seen = await case.make(start=True)
    await case.done(StartContainer(case.target(seen)), changed=False)
    assert (await case.see(case.name)).live.started_at == seen.live.started_at


async def test_an_exited_container_starts_again(case: Case) -> None:
    seen = await case.make(start=True)
    case.bench.stop(seen.full_id)
    assert (await case.see(case.name)).live.state == "exited"
    await case.done(StartContainer(case.target(seen)))
    assert (await case.see(case.name)).live.state == "running"


async def test_a_program_that_is_not_there_is_a_start_not_done(case: Case) -> None:
    seen = await case.make(command=MISSING, init=False)
    refusal = await case.refused(StartContainer(case.target(seen)))
    assert refusal.code == "E_START_FAILED"
    assert "no such file" in refusal.message
    live = (await case.see(case.name)).live
    assert (live.state, live.exit_code) == ("created", 127)
    assert "no such file" in live.error


async def test_a_port_that_is_taken_leaves_the_container_created_and_says_so(case: Case) -> None:
    case.bench.run(f"{case.sandbox.name}-neighbour", port=case.port)
    seen = await case.make(ports={"8080/tcp": Published("127.0.0.1", case.port)})
    refusal = await case.refused(StartContainer(case.target(seen)))
    assert refusal.code == "E_PORT_CONFLICT"
    assert str(case.port) in refusal.message
    live = (await case.see(case.name)).live
    assert (live.state, live.exit_code) == ("created", 128)
    assert str(case.port) in live.error


async def test_a_port_that_docker_picks_is_shown_as_taken_and_not_as_asked_for(case: Case) -> None:
    seen = await case.make(start=True, ports={"8080/tcp": Published("127.0.0.1")})
    assert seen.spec.ports == {"8080/tcp": Published("127.0.0.1")}
    taken = (await look(case.host)).taken_ports
    (published,) = [port for port, holder in taken.items() if holder == case.name]
    assert published.startswith("127.0.0.1:")
    assert published.endswith("/tcp")


async def test_a_stopped_container_has_exited(case: Case) -> None:
    seen = await case.make(start=True)
    await case.done(StopContainer(case.target(seen), grace_s=1))
    live = (await case.see(case.name)).live
    assert live.state == "exited"
    assert live.finished_at is not None


@pytest.mark.parametrize("start", [True, False], ids=["exited", "created"])
async def test_stopping_what_does_not_run_changes_nothing(case: Case, start: bool) -> None:  # noqa: FBT001 - a parameter
    seen = await case.make(start=start)
    if start:
        case.bench.stop(seen.full_id)
    before = await case.see(case.name)
    await case.done(StopContainer(case.target(seen), grace_s=1), changed=False)
    assert await case.see(case.name) == before


async def test_a_restarted_container_runs_anew(case: Case) -> None:
    seen = await case.make(start=True)
    await case.bench.pause()
    await case.done(RestartContainer(case.target(seen), grace_s=1))
    live = (await case.see(case.name)).live
    assert (live.state, live.restart_count) == ("running", 0)
    assert live.started_at is not None
    assert seen.live.started_at is not None
    assert live.started_at > seen.live.started_at


async def test_an_exited_container_is_started_by_a_restart(case: Case) -> None:
    seen = await case.make(start=True)
    case.bench.stop(seen.full_id)
    await case.done(RestartContainer(case.target(seen), grace_s=1))
    assert (await case.see(case.name)).live.state == "running"


async def test_a_container_that_ends_by_itself_is_exited_with_its_code(case: Case) -> None:
    await case.make(start=True, command=EXITS_3)

    async def exited() -> bool:
        return (await case.see(case.name)).live.state == "exited"

    await case.bench.until(exited)
    assert (await case.see(case.name)).live.exit_code == 3


async def test_restarts_by_policy_are_counted(case: Case) -> None:
    await case.make(start=True, command=EXITS_3, restart="on-failure:2")

    async def gave_up() -> bool:
        return (await case.see(case.name)).live.state == "exited"

    await case.bench.until(gave_up)
    live = (await case.see(case.name)).live
    assert (live.exit_code, live.restart_count) == (3, 2)


async def test_limits_and_policy_are_set_and_read_back(case: Case) -> None:
    seen = await case.make(start=True)
    update = UpdateContainer(
        case.target(seen), restart="unless-stopped", cpu_nanos=500_000_000, memory_bytes=64 * MIB, pids=64
    )
    await case.done(update)
    now = await case.see(case.name)
    limits = {"restart": "unless-stopped", "cpu_nanos": 500_000_000, "memory_bytes": 64 * MIB, "pids": 64}
    assert now.spec == replace(seen.spec, **limits)
    assert now.live.started_at == seen.live.started_at
    await case.done(update, changed=False)


async def test_the_limit_of_processes_can_be_lifted(case: Case) -> None:
    seen = await case.make(start=True, pids=64)
    await case.done(UpdateContainer(case.target(seen), restart="no", cpu_nanos=None, memory_bytes=None, pids=None))
    assert (await case.see(case.name)).spec.pids is None


@pytest.mark.parametrize("limit", ["cpu_nanos", "memory_bytes"])
async def test_a_limit_that_docker_cannot_lift_is_not_done(case: Case, limit: str) -> None:
    seen = await case.make(start=True, **{limit: 512 * MIB})
    update = UpdateContainer(case.target(seen), restart="no", cpu_nanos=None, memory_bytes=None, pids=None)
    assert (await case.refused(update)).code == "E_READBACK"
    assert getattr((await case.see(case.name)).spec, limit) == 512 * MIB


async def test_a_renamed_container_has_its_new_name_only(case: Case) -> None:
    seen = await case.make(start=True)
    rename = RenameContainer(case.target(seen), to=f"{case.name}.tomb-1")
    await case.done(rename)
    assert await case.host.find(case.name) is None
    assert (await case.see(f"{case.name}.tomb-1")).full_id == seen.full_id
    await case.done(rename, changed=False)


async def test_a_rename_to_a_taken_name_is_refused(case: Case) -> None:
    seen = await case.make()
    theirs = case.bench.run(f"{case.name}.tomb-1")
    await case.refused(RenameContainer(case.target(seen), to=f"{case.name}.tomb-1"))
    assert (await case.see(case.name)).full_id == seen.full_id
    assert (await case.see(f"{case.name}.tomb-1")).full_id == theirs


async def test_a_removed_container_is_gone_and_stays_gone(case: Case) -> None:
    seen = await case.make()
    await case.done(RemoveContainer(case.target(seen)))
    assert await case.host.find(seen.full_id) is None
    await case.done(RemoveContainer(case.target(seen)), changed=False)


async def test_what_runs_is_not_removed(case: Case) -> None:
    seen = await case.make(start=True)
    assert (await case.refused(RemoveContainer(case.target(seen)))).code == "E_RUNNING"
    assert (await case.see(case.name)).live == seen.live


async def test_a_name_may_be_taken_again_once_it_is_free(case: Case) -> None:
    seen = await case.make()
    await case.done(RemoveContainer(case.target(seen)))
    again = await case.make(attempt="a-2")
    assert again.full_id != seen.full_id


@pytest.mark.parametrize("lie", ["name", "uid"])
async def test_a_target_that_is_not_what_was_meant_is_left_alone(case: Case, lie: str) -> None:
    seen = await case.make(start=True)
    wrong = {"name": f"{case.name}.next-0a1b2c", "uid": "00000000"}[lie]
    refusal = await case.refused(StopContainer(case.target(seen, **{lie: wrong}), grace_s=1))
    assert refusal.code == "E_TARGET_CHANGED"
    assert await case.see(case.name) == seen


async def test_a_target_that_was_renamed_by_hand_is_left_alone(case: Case) -> None:
    seen = await case.make(start=True)
    case.bench.rename(seen.full_id, f"{case.sandbox.name}-mine-now")
    await case.refused(StopContainer(case.target(seen), grace_s=1))
    assert (await case.see(seen.full_id)).live.state == "running"


async def test_a_target_that_was_replaced_under_its_name_is_left_alone(case: Case) -> None:
    seen = await case.make()
    case.bench.remove(seen.full_id)
    theirs = case.bench.run(case.name)
    await case.refused(StartContainer(case.target(seen)))
    assert (await case.see(theirs)).live.state == "running"


@pytest.mark.parametrize("length", [12, 63])
async def test_anything_but_a_full_id_is_no_target(case: Case, length: int) -> None:
    seen = await case.make(start=True)
    await case.refused(StopContainer(case.target(seen, full_id=seen.full_id[:length]), grace_s=1))
    assert (await case.see(case.name)).live.state == "running"


async def test_a_target_that_is_gone_cannot_be_started_or_stopped(case: Case) -> None:
    gone = Existing(full_id="0" * 64, name=case.name, uid=case.uid)
    assert (await case.refused(StartContainer(gone))).code == "E_TARGET_GONE"
    assert (await case.refused(StopContainer(gone, grace_s=1))).code == "E_TARGET_GONE"


async def test_a_container_named_like_anothers_short_id_is_not_mistaken_for_it(case: Case) -> None:
    seen = await case.make(start=True)
    decoy = case.bench.run(seen.full_id[:12])
    assert (await case.see(seen.full_id)).full_id == seen.full_id
    assert (await case.see(seen.full_id[:12])).full_id == decoy
    await case.done(StopContainer(case.target(seen), grace_s=1))
    assert (await case.see(decoy)).live.state == "running"


async def test_part_of_an_id_finds_nothing(case: Case) -> None:
    seen = await case.make()
    assert await case.host.find(seen.full_id[:12]) is None
    assert await case.host.find(seen.full_id[:63]) is None


async def test_labels_that_the_image_brought_make_no_target(case: Case) -> None:
    case.bench.label_image("lab/labelled:1", case.labels())
    theirs = case.bench.run(case.name, image="lab/labelled:1", command=SLEEPS)
    await case.refused(StopContainer(Existing(theirs, case.name, case.uid), grace_s=1))
    assert (await case.see(theirs)).live.state == "running"


async def test_a_secret_is_filled_in_at_the_last_moment(case: Case) -> None:
    creation = case.creation(env={"AUTH": Template(("Bearer ", Late("secret:hub")))})
    assert isinstance(await case.do(creation), NotDone)
    assert await case.host.find(case.name) is None
    assert isinstance(await case.do(creation, hub="s3"), Done)
    assert (await case.see(case.name)).spec.env["AUTH"] == "Bearer s3"
