"""Look, prove, hold, probe and read logs: what a host says of itself and of what is on it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import HostError
from reconciler.host.interface import Busy
from reconciler.model.effect import MakeDirectory, NotDone, PutFile, PutMarker, StartContainer, StopContainer
from reconciler.model.observed import ImageAbsent, ImageFact, SeenLock
from reconciler.model.ownership import Ours, Theirs, Unprovable, prove_container
from reconciler.model.probe import (
    ExecProbe,
    FinishedProbe,
    HealthProbe,
    HttpProbe,
    LogProbe,
    Probe,
    ProbeFailed,
    ProbePassed,
    ProbeWaiting,
    RunningProbe,
    TcpProbe,
)
from reconciler.model.resource import Healthcheck
from tests.builders import FLEET, T0, a_marker
from tests.contract.bench import BUSYBOX, EXITS_0, EXITS_3, ONCE, RICH, TALKS, TOUCHES, WEB, look
from tests.contract.case import OTHER_FLEET, Case


async def test_a_host_says_who_it_is_and_the_same_each_time(case: Case) -> None:
    said = await case.host.identify()
    assert (said.home, said.base_dir) == (case.bench.home, case.bench.base_dir)
    assert said.docker_root.startswith("/")
    assert said.engine_version
    assert said.boot_id
    assert await case.host.identify() == said
    assert (await look(case.host)).identity == said


async def test_a_look_shows_ours_in_full_and_others_as_neighbours(case: Case) -> None:
    seen = await case.make(start=True)
    theirs = case.bench.run(f"{case.sandbox.name}-postgres", labels={"app": "db"}, port=case.port)
    view = await look(case.host, images=(BUSYBOX, "lab/absent:1"))
    assert view.containers == (seen,)
    (neighbour,) = view.neighbours
    assert (neighbour.full_id, neighbour.name) == (theirs, f"{case.sandbox.name}-postgres")
    assert (neighbour.state, neighbour.labels) == ("running", {"app": "db"})
    assert neighbour.ports == (f"127.0.0.1:{case.port}/tcp",)
    assert view.taken_ports == {f"127.0.0.1:{case.port}/tcp": neighbour.name}
    fact = view.images[BUSYBOX]
    assert isinstance(fact, ImageFact)
    assert view.images[seen.image_id] == fact
    assert isinstance(view.images["lab/absent:1"], ImageAbsent)


async def test_a_look_after_a_change_shows_the_change(case: Case) -> None:
    assert (await look(case.host)).containers == ()
    seen = await case.make()
    assert [found.live.state for found in (await look(case.host)).containers] == ["created"]
    await case.done(StartContainer(case.target(seen)))
    assert [found.live.state for found in (await look(case.host)).containers] == ["running"]
    case.bench.remove(seen.full_id)
    assert (await look(case.host)).containers == ()


async def test_an_images_facts_are_told(case: Case) -> None:
    fact = (await look(case.host, images=(RICH,))).images[RICH]
    assert isinstance(fact, ImageFact)
    assert fact.entrypoint == ("/bin/sh", "/entry.sh")
    assert fact.env == {"PATH": "/bin", "LAB_MODE": "rich", "LAB_EMPTY": ""}
    assert fact.healthcheck == Healthcheck(("CMD", "true"), 2000, 1000, 1000, 2)
    assert fact.stop_signal == "SIGKILL"


async def test_a_name_that_we_derive_is_shown_in_full_whosever_it_is(case: Case) -> None:
    theirs = case.bench.run(case.name)
    view = await look(case.host)
    (seen,) = view.containers
    assert seen.full_id == theirs
    assert isinstance(prove_container(seen, fleet=FLEET, images=view.images, markers={}), Theirs)


async def test_what_we_made_is_proved_ours(case: Case) -> None:
    await case.make()
    view = await look(case.host)
    proof = prove_container(view.containers[0], fleet=FLEET, images=view.images, markers={})
    assert isinstance(proof, Ours)
    assert str(proof.key) == "containers/main"


async def test_labels_that_were_inherited_prove_nothing(case: Case) -> None:
    case.bench.label_image("lab/labelled:1", case.labels())
    case.bench.run(case.name, image="lab/labelled:1")
    view = await look(case.host)
    assert isinstance(prove_container(view.containers[0], fleet=FLEET, images=view.images, markers={}), Unprovable)


async def test_labels_that_were_copied_prove_nothing(case: Case) -> None:
    case.bench.run(f"{case.sandbox.name}-copy", labels=case.labels())
    view = await look(case.host)
    assert isinstance(prove_container(view.containers[0], fleet=FLEET, images=view.images, markers={}), Unprovable)


async def test_another_fleets_container_is_a_neighbour(case: Case) -> None:
    name = case.name.replace(f"sbx-{FLEET}.", f"sbx-{OTHER_FLEET}.")
    case.bench.run(name, labels=case.labels(fleet=OTHER_FLEET))
    view = await look(case.host)
    assert view.containers == ()
    assert [found.name for found in view.neighbours] == [name]
    (theirs,) = (await look(case.host, fleet=OTHER_FLEET)).containers
    assert isinstance(prove_container(theirs, fleet=FLEET, images=view.images, markers={}), Theirs | Unprovable)


async def test_finding_what_is_not_there_finds_nothing(case: Case) -> None:
    assert await case.host.find(case.name) is None
    assert await case.host.find("0" * 64) is None


async def test_facts_are_measured(case: Case) -> None:
    seen = await case.make(start=True)
    snapshot = await case.host.facts((seen.full_id,), now=lambda: T0)
    assert snapshot.host == case.host.name
    assert snapshot.boot_id == (await case.host.identify()).boot_id
    assert 0 < snapshot.memory_available_bytes < snapshot.memory_total_bytes
    assert snapshot.cpu_count > 0
    assert seen.full_id in snapshot.sandboxes


async def test_what_docker_stores_is_told_on_demand(case: Case) -> None:
    told = await case.host.facts((), now=lambda: T0, with_docker_disk=True)
    assert told.docker_disk is not None
    assert (told.docker_disk.images_bytes or 0) > 0
    spared = await case.host.facts((), now=lambda: T0)
    assert spared.docker_disk is None
    assert "docker_disk" in spared.missing


async def test_a_second_holder_learns_who_has_the_lock(case: Case) -> None:
    other = await case.bench.connect()
    busy = await other.hold("second")
    assert isinstance(busy, Busy)
    assert busy.holder == "contract"
    assert busy.since
    await other.close()


async def test_a_look_tells_who_holds_the_lock_and_who_did_last(case: Case) -> None:
    other = await case.bench.connect()
    held = (await look(other)).lock
    assert held.is_held
    assert "contract" in held.line
    await case.host.close()

    async def free() -> bool:
        return (await look(other)).lock == SeenLock(line=held.line, is_held=False)

    await case.bench.until(free)
    lease = await other.hold("second")
    assert not isinstance(lease, Busy)
    assert lease.before == held.line
    await lease.release()
    given_back = (await look(other)).lock
    assert (given_back.is_held, "second" in given_back.line) == (False, True)
    await other.close()


async def test_a_look_lists_folders_and_never_takes_an_unreadable_one_for_an_empty_one(case: Case) -> None:
    base, file = case.bench.base_dir, f"{case.folder}/file"
    await case.done(PutMarker(base, a_marker(case.sandbox)))
    await case.done(MakeDirectory(path=f"{case.folder}/inner", mode="0700", root=base))
    await case.done(PutFile(path=file, mode="0600", content="x", root=base))
    asked = ("${host.baseDir}", case.folder, f"{base}/no", file)
    ours, mine, absent, refused = (await look(case.host, roots=asked)).roots
    assert (ours.path, case.uid in [entry.name for entry in ours.entries]) == (base, True)
    assert not [entry.name for entry in ours.entries if entry.name.startswith(".")]
    assert [(entry.name, entry.kind) for entry in mine.entries] == [("file", "file"), ("inner", "directory")]
    assert (absent.state, absent.entries) == ("absent", ())
    assert (refused.state, refused.entries) == ("unreadable", ())


async def test_a_connection_without_the_lock_changes_nothing(case: Case) -> None:
    other = await case.bench.connect()
    outcome = await other.effect(case.creation(), secrets={})
    assert isinstance(outcome, NotDone)
    assert await case.host.find(case.name) is None
    await other.close()


async def test_a_released_lock_can_be_taken_and_serves_its_holder_no_more(case: Case) -> None:
    first, second = await case.bench.connect(), await case.bench.connect()
    await case.host.close()

    async def taken() -> bool:
        return not isinstance(await first.hold("first"), Busy)

    await case.bench.until(taken)
    assert isinstance(await second.hold("second"), Busy)
    await first.close()
    held = []

    async def taken_over() -> bool:
        lease = await second.hold("second")
        held.append(lease)
        return not isinstance(lease, Busy)

    await case.bench.until(taken_over)
    lease = held[-1]
    assert not isinstance(lease, Busy)
    assert not lease.lost
    await lease.release()
    outcome = await second.effect(case.creation(), secrets={})
    assert isinstance(outcome, NotDone)
    await second.close()
    await second.close()


async def test_holding_makes_the_base_folder_usable(case: Case) -> None:
    path = f"{case.bench.base_dir}/{case.uid}"
    await case.done(MakeDirectory(path=path, mode="0700", root=case.bench.base_dir))
    assert (await look(case.host, paths=(path,))).paths[path].kind == "directory"


async def test_the_last_lines_of_output_are_read_and_escaped(case: Case) -> None:
    seen = await case.make(start=True, command=TALKS)

    async def talked() -> bool:
        return len(await case.host.logs(seen.full_id, lines=10)) == 3

    await case.bench.until(talked)
    first, second, third = await case.host.logs(seen.full_id, lines=10)
    assert (first, second) == ("first", "second")
    assert "\007" not in third
    assert third.startswith("bell ")
    assert await case.host.logs(seen.full_id, lines=1) == (third,)


async def test_the_output_of_what_is_gone_cannot_be_read(case: Case) -> None:
    with pytest.raises(HostError):
        await case.host.logs("0" * 64, lines=10)


def probe(kind: type[Probe], **over: Any) -> Probe:
    return kind(**{"name": "ready", "container": "main", **over})


async def passes(case: Case, asked: Probe) -> None:
    async def passed() -> bool:
        result = await case.ask(asked)
        assert not isinstance(result, ProbeFailed), result
        return isinstance(result, ProbePassed)

    await case.bench.until(passed)


@pytest.mark.parametrize(
    "asked",
    [
        probe(HttpProbe, port=8080),
        probe(HttpProbe, port=8080, path="/index.html"),
        probe(TcpProbe, port=8080),
        probe(RunningProbe),
        probe(ExecProbe, command=("true",)),
    ],
    ids=["http", "http-path", "tcp", "running", "exec"],
)
async def test_a_probe_passes_once_the_answer_is_there(case: Case, asked: Probe) -> None:
    await case.make(start=True, image=WEB, command=None)
    await passes(case, asked)


@pytest.mark.parametrize(
    "asked",
    [
        probe(HttpProbe, port=9),
        probe(TcpProbe, port=9),
        probe(LogProbe, pattern="never said"),
        probe(HealthProbe),
        probe(FinishedProbe),
    ],
    ids=["http", "tcp", "log", "health", "finished"],
)
async def test_a_probe_waits_for_what_is_not_there_yet(case: Case, asked: Probe) -> None:
    await case.make(start=True)
    result = await case.ask(asked)
    assert isinstance(result, ProbeWaiting), result
    assert result.why


async def test_an_exec_probe_waits_until_its_command_succeeds(case: Case) -> None:
    await case.make(start=True, command=TOUCHES)
    asked = probe(ExecProbe, command=("test", "-e", "/ready"))
    assert isinstance(await case.ask(asked), ProbeWaiting)
    await passes(case, asked)


async def test_a_log_probe_passes_on_a_line_of_this_run(case: Case) -> None:
    await case.make(start=True, command=TALKS)
    await passes(case, probe(LogProbe, pattern="^sec.nd$"))


async def test_a_log_probe_does_not_pass_on_a_line_of_an_earlier_run(case: Case) -> None:
    seen = await case.make(start=True, command=ONCE)
    asked = probe(LogProbe, pattern="only once")
    await passes(case, asked)
    await case.done(StopContainer(case.target(seen), grace_s=1))
    case.bench.expect_silence(case.name)
    await case.done(StartContainer(case.target(seen)))
    assert isinstance(await case.ask(asked), ProbeWaiting)


async def test_a_health_probe_passes_when_docker_says_healthy(case: Case) -> None:
    check = Healthcheck(("CMD", "true"), 100, 1000, None, 2)
    await case.make(start=True, healthcheck=check)
    await passes(case, probe(HealthProbe))


async def test_a_finished_probe_passes_after_exit_0(case: Case) -> None:
    await case.make(start=True, command=EXITS_0)
    await passes(case, probe(FinishedProbe))


@pytest.mark.parametrize(
    "asked",
    [
        probe(FinishedProbe),
        probe(RunningProbe),
        probe(TcpProbe, port=8080),
        probe(HttpProbe, port=8080),
        probe(ExecProbe, command=("true",)),
        probe(LogProbe, pattern="never said"),
        probe(HealthProbe),
    ],
    ids=["finished", "running", "tcp", "http", "exec", "log", "health"],
)
async def test_a_probe_fails_for_good_when_the_container_has_exited(case: Case, asked: Probe) -> None:
    await case.make(start=True, command=EXITS_3)

    async def failed() -> bool:
        result = await case.ask(asked)
        assert not isinstance(result, ProbePassed) or isinstance(asked, RunningProbe), result
        return isinstance(result, ProbeFailed)

    await case.bench.until(failed)


async def test_a_probe_of_what_is_not_there_fails_for_good(case: Case) -> None:
    assert isinstance(await case.ask(probe(RunningProbe)), ProbeFailed)
