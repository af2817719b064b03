"""Compose projects: judged before anything is started, brought up once, and provably ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.disk.tree import read_tree
from reconciler.model.compose import ComposePolicy, Project
from reconciler.model.effect import (
    Existing,
    JudgeCompose,
    PlaceTree,
    RemoveContainer,
    StageTree,
    StopContainer,
    UpCompose,
)
from reconciler.model.names import SERVICES, DerivedName, composed_name
from reconciler.model.observed import SeenContainer
from reconciler.model.ownership import Ours, prove_labels
from tests.builders import FLEET
from tests.contract.bench import BUSYBOX, look
from tests.contract.case import Case

IDLE = {"image": BUSYBOX, "command": ["sleep", "86400"], "stop_grace_period": "1s", "init": True}


def project(case: Case, *services: str) -> Project:
    return Project(
        fleet=FLEET,
        sandbox=case.sandbox.name,
        origin="spec",
        folder=f"{case.folder}/source",
        services=tuple(sorted(services)),
        policy=ComposePolicy(),
        base_dir=case.bench.base_dir,
        docker_root="/var/lib/docker",
    )


async def bring(case: Case, folder: Path, services: dict[str, Any]) -> UpCompose:
    """Send a compose file, judge it where it is staged, and give the effect that brings it up."""
    folder.mkdir(exist_ok=True)
    (folder / "compose.yaml").write_text(json.dumps({"services": services}))
    content, path, base = read_tree(folder, ()).content, f"{case.folder}/source", case.bench.base_dir
    await case.done(StageTree(path, base, str(folder), (), content))
    up = UpCompose("compose.yaml", project(case, *services))
    await case.done(JudgeCompose(up.file, replace(up.project, folder=f"{case.folder}/.new-source")))
    await case.done(PlaceTree(path, base, content))
    return up


async def seen(case: Case, service: str) -> SeenContainer | None:
    return await case.host.find(composed_name(DerivedName(FLEET, case.sandbox.name, service), SERVICES))


async def test_services_come_up_and_are_ours(case: Case, tmp_path: Path) -> None:
    await case.mark()
    up = await bring(case, tmp_path / "app", {"web": IDLE, "my_db": IDLE})
    await case.done(up)
    for service in ("web", "my_db"):
        container = await seen(case, service)
        assert container is not None
        assert container.live.state == "running"
        proof = prove_labels(container.name, container.labels, fleet=FLEET)
        assert isinstance(proof, Ours)
        assert (str(proof.key), proof.name.sandbox) == (f"services/{service}", case.sandbox.name)
    ours = {one.full_id for one in (await look(case.host)).containers}
    assert ours, "a look finds them by their label"


async def test_a_second_time_nothing_is_replaced(case: Case, tmp_path: Path) -> None:
    await case.mark()
    up = await bring(case, tmp_path / "app", {"web": IDLE})
    await case.done(up)
    before = await seen(case, "web")
    await case.host.effect(up, secrets={})
    assert await seen(case, "web") == before


async def test_what_stopped_is_started_and_what_is_gone_is_made(case: Case, tmp_path: Path) -> None:
    await case.mark()
    up = await bring(case, tmp_path / "app", {"web": IDLE, "db": IDLE})
    await case.done(up)
    web, db = await seen(case, "web"), await seen(case, "db")
    assert web is not None
    assert db is not None
    await case.done(StopContainer(Existing(web.full_id, web.name, case.uid), 1))
    await case.done(StopContainer(Existing(db.full_id, db.name, case.uid), 1))
    await case.done(RemoveContainer(Existing(db.full_id, db.name, case.uid)))
    await case.done(up)
    again = [await seen(case, service) for service in ("web", "db")]
    assert [one is not None and one.live.state for one in again] == ["running", "running"]
    assert again[0] is not None
    assert again[0].full_id == web.full_id


async def test_a_file_that_is_not_there_is_refused(case: Case) -> None:
    await case.mark()
    refused = await case.refused(JudgeCompose("compose.yaml", project(case, "web")))
    assert refused.code == "E_PATH_MISSING"


async def test_only_the_file_that_was_judged_is_brought_up(case: Case, tmp_path: Path) -> None:
    await case.mark()
    up = await bring(case, tmp_path / "app", {"web": IDLE})
    refused = await case.refused(UpCompose("other.yaml", up.project))
    assert refused.code == "E_TREE_MISSING"
    assert await seen(case, "web") is None


@pytest.mark.parametrize("kind", ["up", "judge"])
async def test_without_the_lock_nothing_is_asked(case: Case, tmp_path: Path, kind: str) -> None:
    await case.mark()
    up = await bring(case, tmp_path / "app", {"web": IDLE})
    effect = up if kind == "up" else JudgeCompose(up.file, up.project)
    await case.host.close()
    host = await case.bench.connect()
    try:
        outcome = await host.effect(replace(effect), secrets={})
        assert getattr(outcome, "code", None) == "E_NO_LEASE"
    finally:
        await host.close()
    assert await seen(case, "web") is None
