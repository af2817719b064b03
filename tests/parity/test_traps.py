"""The register of traps: what looks like something to be removed and must stay, each against a real host.

All of one kind stand on one host and go through one pass of `reap-stale --apply`; beside them stand controls, which
must be gone after that same pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from reconciler.errors import PlanStale
from reconciler.model.labels import PREFIX
from reconciler.model.legacy import parse_legacy
from reconciler.model.names import sandbox_uid
from reconciler.model.removal import RemovalRecord
from reconciler.record.removals import faults_of
from tests.e2e.driver import Driver
from tests.e2e.sights import name_of, settle
from tests.lab.host import LabHost
from tests.lab.missing import LabError
from tests.parity.between import reap_between
from tests.parity.trap_exchanges import Exchanges
from tests.parity.trap_folders import set_in_base, set_names, set_plain, set_used
from tests.parity.traps import Ground, Thing, orphan, remove, see

pytestmark = pytest.mark.lab

TRAPS_MIN = 60
"""So many are wanted, at the least."""


@pytest.fixture
def ground(fleet: Driver, alpha: LabHost, beta: LabHost) -> Iterator[Ground]:
    """Give an empty ground, and take away afterwards whatever was put there."""
    root = alpha.home / f"old-{fleet.fleet}"
    root.mkdir()
    os.chown(root, alpha.uid, alpha.record.gid)
    limits = {"removalsPerPlan": "100%", "removalsPerDay": "100%"}
    fleet.declare_fleet(
        limits=limits, reap={"legacyPatterns": ["e2e-*", "sbx-*"], "legacyRoots": [str(root), f"{root}-closed"]}
    )
    found = Ground(fleet=fleet, alpha=alpha, beta=beta, root=root)
    yield found
    things = [one for parts in (*found.traps.values(), *found.controls.values()) for one in parts]
    for one in things:
        if one.kind == "container" and see(one) is not None:
            one.host.engine("DELETE", f"/containers/{one.what}", force="true", v="true")
        elif one.kind in ("network", "volume") and see(one) is not None:
            one.host.engine("DELETE", f"/{one.kind}s/{one.what}")
    for path in (root, Path(f"{root}-closed"), Path(f"{root}-decoy")):
        remove(path)


def spring(ground: Ground, *words: str, statuses: tuple[int, ...] = (0, 3)) -> str:
    """Reap, and expect that every trap is as it was and every control gone."""
    before = ground.sights(ground.traps)
    assert all(None not in parts for parts in before.values()), "a trap was not set"
    command = ("reap-stale", "--apply", "--yes", "--lock-timeout", "30", *words, *ground.words())
    told = ground.fleet.run(*command).expect(*statuses)
    after = ground.sights(ground.traps)
    wrong = [title for title in before if before[title] != after[title]]
    assert wrong == [], told.stdout + told.stderr
    left = [title for title, parts in ground.sights(ground.controls).items() if any(part is not None for part in parts)]
    assert left == [], told.stdout + told.stderr
    return told.stdout


# Sandboxes of ours ---------------------------------------------------------------------------------------------------


def test_traps_1_to_13_sandboxes_of_ours_that_are_not_to_be_reaped(ground: Ground) -> None:
    fleet, alpha, beta = ground.fleet, ground.alpha, ground.beta
    orphan(ground, "lost", "kept", "adhoc", "again", "second", "damaged", "swapped", "revised", "renamed", "foreign")
    orphan(ground, "guarded", protect=True)
    orphan(ground, "retained", deletionPolicy="Retain")
    orphan(ground, "far", host="beta")
    settle(fleet)
    gone = [
        "lost",
        "guarded",
        "retained",
        "adhoc",
        "again",
        "damaged",
        "swapped",
        "revised",
        "renamed",
        "far",
        "foreign",
    ]
    for name in gone:
        fleet.drop("Sandbox", name)
    orphan(ground, "second", host="beta")
    for file in fleet.status.rglob("*.json"):
        file.unlink()
    fleet.run("apply", "kept", "--yes").expect(0)
    ground.remark("adhoc", origin="adhoc", ttl_s=86400)
    ground.remark("revised", revision="0123456789" * 4)
    ground.marker("damaged").write_text("{")
    ground.remark("swapped", uid=sandbox_uid(fleet.fleet, "kept"))
    os.chown(ground.marker("foreign").parent, 0, 0)
    alpha.docker("rename", name_of(fleet, "again"), f"{name_of(fleet, 'again')}.tomb-1")
    ids = fleet.containers(alpha)
    alpha.docker("rename", name_of(fleet, "renamed"), f"mine-{fleet.fleet}")
    ground.control("what is truly an orphan", *ground.sandbox("lost"))
    ground.trap("1: a sandbox that the specs want", *ground.sandbox("kept"))
    ground.trap("2: an orphan that is protected", *ground.sandbox("guarded"))
    ground.trap("3: an orphan that is to be retained", *ground.sandbox("retained"))
    ground.trap("4: what a command made, within its ttl", *ground.sandbox("adhoc"))
    again = Thing(kind="container", what=ids[f"{name_of(fleet, 'again')}.tomb-1"], host=alpha)
    ground.trap("5: what was marked for removal, and runs again", again)
    ground.trap("6: a second copy of what the specs want on another host", *ground.sandbox("second"))
    for title, name in (
        ("7: an orphan with a damaged marker", "damaged"),
        ("8: an orphan whose folder holds another's marker", "swapped"),
        ("9: an orphan of a revision that is not ours", "revised"),
        ("10: an orphan whose folder is another user's", "foreign"),
    ):
        ground.trap(title, Thing(kind="container", what=ids[name_of(fleet, name)], host=alpha))
    renamed = alpha.engine("GET", f"/containers/mine-{fleet.fleet}/json")["Id"]
    ground.trap("11: an orphan that was renamed by hand", Thing(kind="container", what=renamed, host=alpha))
    ground.trap("12: an orphan on a host that does not answer", *ground.sandbox("far", beta))
    volume = alpha.docker("volume", "create").strip()
    ground.trap("13: a volume of nobody", Thing(kind="volume", what=volume, host=alpha))
    fleet.declare_host(beta, address="127.0.0.1", ssh={"port": 1})
    try:
        spring(ground, "--older-than", "0s", "--grace", "0")
    finally:
        fleet.declare_host(beta)


# Containers that look like ours --------------------------------------------------------------------------------------


def test_traps_14_to_36_look_alikes_and_compose_projects(ground: Ground) -> None:
    fleet, alpha, name = ground.fleet, ground.alpha, ground.fleet.fleet
    orphan(ground, "lost", "kept")
    settle(fleet)
    fleet.drop("Sandbox", "lost")
    for file in fleet.status.rglob("*.json"):
        file.unlink()
    fleet.run("apply", "kept", "--yes").expect(0)
    full_id = fleet.containers(alpha)[name_of(fleet, "lost")]
    labels = alpha.engine("GET", f"/containers/{full_id}/json")["Config"]["Labels"]
    kept = alpha.engine("GET", f"/containers/{fleet.containers(alpha)[name_of(fleet, 'kept')]}/json")["Config"][
        "Labels"
    ]
    copied = words_of(kept)
    other = words_of({**labels, f"{PREFIX}fleet": f"{name}x"})
    wrong = words_of({**labels, f"{PREFIX}sandbox": "fake", f"{PREFIX}uid": "00000000"})
    image = f"{name}:committed"
    alpha.docker("commit", full_id, image)
    ground.control("what is truly an orphan", *ground.sandbox("lost"))
    try:
        ground.trap("14: our labels, copied, under another name", ground.container(*copied))
        ground.trap(
            "15: our labels, copied, under another's derived name", make(ground, f"sbx-{name}.more.main", copied)
        )
        ground.trap(
            "16: our labels, copied, under a name that only looks derived",
            make(ground, f"sbx-{name}.kept.main.next-zz", copied),
        )
        ground.trap("17: our labels with a uid that they do not derive", make(ground, f"sbx-{name}.fake.main", wrong))
        ground.trap("18: a sandbox of another fleet", make(ground, f"sbx-{name}x.lost.main", other))
        ground.trap("19: another fleet's label under a name of ours", make(ground, f"sbx-{name}.odd.main", other))
        ground.trap("20: a name of ours and no label", make(ground, f"sbx-{name}.bare.main", []))
        ground.trap("21: a tomb's name and no label", make(ground, f"sbx-{name}.bare.main.tomb-1", []))
        ground.trap("22: a name of ours on its way and no label", make(ground, f"sbx-{name}.bare.main.next-0123ab", []))
        only = ["--label", f"{PREFIX}fleet={name}"]
        ground.trap("23: the label of our fleet alone", ground.container(*only))
        empty = words_of(dict.fromkeys(labels, ""))
        ground.trap("24: our labels, all empty", make(ground, f"sbx-{name}.empty.main", empty))
        ground.trap("25: another name that begins like an orphan's", make(ground, f"sbx-{name}.lost.main-2", []))
        ground.trap("26: a container named like an orphan's short id", make(ground, full_id[:12], []))
        inherited = ground.container("--name", f"sbx-{name}.image.main", image)
        ground.trap("27: labels that come from its image, under the name of another", inherited)
        own = [*words_of({**labels, f"{PREFIX}sandbox": "clone", f"{PREFIX}uid": sandbox_uid(name, "clone")}), image]
        ground.trap(
            "28: labels of its own, and an image that brings some too", make(ground, f"sbx-{name}.clone.main", own)
        )
        network = alpha.docker("network", "create", f"sbx-{name}.lost.net").strip()
        ground.trap("29: a network with a name of ours", Thing(kind="network", what=network, host=alpha))
        set_projects(ground)
        told = spring(ground, "--older-than", "0s", "--grace", "0")
    finally:
        for made in [
            one["Id"]
            for one in alpha.containers()
            if one["Image"] in (image, alpha.engine("GET", f"/images/{image}/json")["Id"])
        ]:
            alpha.engine("DELETE", f"/containers/{made}", force="true")
        alpha.docker("rmi", "--force", image)
    assert "InUse" in told
    assert "NotOurs" in told
    records = [msgspec.json.decode(path.read_bytes(), type=RemovalRecord) for path in removals(fleet)]
    assert {one.legacy or one.sandbox: faults_of(one) for one in records} == {"lost": (), f"compose/e2e-{name}": ()}


def set_projects(ground: Ground) -> None:
    """Set compose projects: one that is to go, and what is like it."""
    name = ground.fleet.fleet
    e2e = f"e2e-{name}"
    parts = [ground.of_project(e2e, f"{e2e}-{part}-1") for part in ("web", "db")]
    ground.control("a compose project that is named and at rest", *parts, named=f"compose/{e2e}")
    ground.trap("30: a compose project that is not named", ground.of_project(f"{e2e}-2", f"{e2e}-2-web-1"))
    runs = ground.of_project(f"{e2e}-runs", f"{e2e}-runs-web-1", run=True)
    ground.trap("31: a compose project that runs", runs, named=f"compose/{e2e}-runs")
    half = [
        ground.of_project(f"{e2e}-half", f"{e2e}-half-web-1", run=True),
        ground.of_project(f"{e2e}-half", f"{e2e}-half-db-1"),
    ]
    ground.trap("32: a compose project of which one container runs", *half, named=f"compose/{e2e}-half")
    paused = ground.of_project(f"{e2e}-paused", f"{e2e}-paused-web-1", run=True)
    ground.alpha.docker("pause", paused.what)
    ground.trap("33: a compose project that is paused", paused, named=f"compose/{e2e}-paused")
    theirs = ["--label", f"{PREFIX}fleet={name}x"]
    mixed = [
        ground.of_project(f"{e2e}-mixed", f"{e2e}-mixed-web-1"),
        ground.of_project(f"{e2e}-mixed", f"{e2e}-mixed-db-1", *theirs),
    ]
    ground.trap("34: a compose project in which a fleet has a part", *mixed, named=f"compose/{e2e}-mixed")
    shop = ground.of_project(f"shop-{name}", f"shop-{name}-web-1")
    ground.trap("35: a compose project of no legacy name", shop, named=f"compose/shop-{name}")
    ours = ground.of_project(f"sbx-{name}-web-0", f"{name}-web-1")
    ground.trap("36: a compose project with a name of fleets", ours, named=f"compose/sbx-{name}-web-0")


def make(ground: Ground, name: str, words: list[str]) -> Thing:
    return ground.container("--name", name, *words)


def words_of(labels: dict[str, str]) -> list[str]:
    return [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]


def removals(fleet: Driver) -> list[Path]:
    """Give the records of all removals that took something away, those of the first of two phases left out."""
    found = sorted((fleet.status / "removals").glob("*.json"))
    return [path for path in found if b'"remove_container"' in path.read_bytes() or b'"drop_path"' in path.read_bytes()]


# Folders -------------------------------------------------------------------------------------------------------------


def test_traps_37_to_62_folders_that_only_look_like_rubbish(ground: Ground) -> None:
    fleet, alpha, root = ground.fleet, ground.alpha, ground.root
    orphan(ground, "kept")
    settle(fleet)
    base, decoy = Path(fleet.base_dir(alpha)), Path(f"{root}-decoy")
    precious = ground.folder(decoy)
    ground.trap("37: what a link inside a removed folder leads to", precious)
    set_plain(ground, decoy)
    set_names(ground)
    pids = set_used(ground)
    set_in_base(ground, base)
    closed = Path(f"{root}-closed")
    ground.trap(
        "61: what is in a legacy root that is another user's", ground.folder(closed / "x"), named=f"folder/{closed}/x"
    )
    os.chown(closed, 65534, 65534)
    os.chmod(closed, 0o755)  # noqa: S103  # to be seen and not to be written
    ground.trap("62: the legacy root itself", Thing(kind="path", what=str(closed), host=alpha), named=f"folder/{root}")
    try:
        told = spring(ground, "--older-than", "1d", "--grace", "0", statuses=(1, 3))
    finally:
        for pid in pids:
            alpha.run("kill", pid)
        alpha.run("umount", f"{root}/mounted/deep")
    for word in (
        "NotListed",
        "NotOurs",
        "InUse",
        "NotOldEnough",
        "E_PATH_MOUNT",
        "E_PATH_YOUNG",
        "E_PATH_OWNER",
        "E_BASE_DIR",
    ):
        assert word in told + json_lines(fleet), word
    records = [msgspec.json.decode(path.read_bytes(), type=RemovalRecord) for path in removals(fleet)]
    assert {one.legacy for one in records if one.end == "done"} == {
        f"folder/{one.what}" for (one,) in ground.controls.values()
    }
    assert [faults_of(one) for one in records if one.end == "done"] == [()] * len(ground.controls)


def json_lines(fleet: Driver) -> str:
    """Give what the journal of the last pass holds: it has the codes of refusals."""
    return "".join(path.read_text() for path in (fleet.status / "passes").rglob("*") if path.is_file())


# What happens between the last look and the removal ------------------------------------------------------------------


def test_traps_63_to_72_what_is_exchanged_at_the_last_moment(ground: Ground) -> None:
    fleet, alpha, root = ground.fleet, ground.alpha, ground.root
    lost = ("lost", "new-owner", "recreated")
    orphan(ground, "kept", *lost)
    settle(fleet)
    for name in lost:
        fleet.drop("Sandbox", name)
    for file in fleet.status.rglob("*.json"):
        file.unlink()
    fleet.run("apply", "kept", "--yes").expect(0)
    exchanges = Exchanges(ground)
    precious = see(exchanges.decoy)
    passed = asyncio.run(reap_between(fleet, exchanges, named=exchanges.named))
    assert passed.ended is not None
    ends = {item.id.rpartition("/")[2]: item.end for item in passed.ended.actions}
    with contextlib.suppress(LabError):
        alpha.run("umount", f"{root}/to-used/deep")
    for number, name in (
        (63, "to-link"),
        (64, "to-other"),
        (65, "to-mounted"),
        (67, "to-used"),
        (68, "recreated"),
        (69, "new-owner"),
        (70, exchanges.e2e),
        (71, f"{exchanges.e2e}-2"),
    ):
        thing, before = exchanges.kept[name]
        assert see(thing) == before, name
        # Whose full id is gone is gone; the other of its name is nobody's business.
        assert ends[name] == ("done" if name == f"{exchanges.e2e}-2" else "failed"), name
        ground.trap(f"{number}: {name}, exchanged between the look and the removal", thing)
    ground.trap("72: what a link and a mount lead to that were put there at the last moment", exchanges.decoy)
    assert see(exchanges.decoy) == precious
    assert ends["gone"] == "done"
    assert see(exchanges.folders["gone"]) is None


@pytest.mark.parametrize(("number", "change"), [(73, "other folder"), (74, "runs"), (75, "one more"), (76, "used")])
def test_traps_73_to_76_what_changes_between_the_two_looks(ground: Ground, number: int, change: str) -> None:
    fleet, alpha, root, e2e = ground.fleet, ground.alpha, ground.root, f"e2e-{ground.fleet.fleet}"
    fleet.drop("Host", "beta")
    folder, project = ground.folder(root / "x"), ground.of_project(e2e, f"{e2e}-web-1")
    ground.trap(f"{number}: {change} at the second look", folder, project)
    named = tuple(one for text in (f"folder/{folder.what}", f"compose/{e2e}") if (one := parse_legacy(f"alpha:{text}")))
    before: list[object] = []

    def once(_: str) -> None:
        match change:
            case "other folder":
                exchange_folder(ground, root / "x")
            case "runs":
                alpha.docker("start", project.what)
            case "one more":
                ground.trap("one more", ground.of_project(e2e, f"{e2e}-db-1"))
            case _:
                bind = f"type=bind,source={root}/x,target=/x"
                ground.trap("a user", ground.container("--mount", bind))
        before.extend(see(one) for one in (folder, project))

    with pytest.raises(PlanStale):
        asyncio.run(reap_between(fleet, lambda _: None, named=named, planned=once))
    assert [see(folder), see(project)] == before


def exchange_folder(ground: Ground, path: Path) -> None:
    path.rename(path.with_name("before"))
    ground.folder(path)


def test_there_are_as_many_traps_as_were_wanted() -> None:
    """Count the register itself, so that it stands also where tests run side by side."""
    ranges = re.findall(r"def test_traps_(\d+)_to_(\d+)", Path(__file__).read_text())
    numbers = [number for first, last in ranges for number in range(int(first), int(last) + 1)]
    assert numbers == list(range(1, max(numbers) + 1))
    assert len(numbers) >= TRAPS_MIN
