"""F-10 and F-11: disks that are full, on the controller and on a host."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import DEAF, IDLE, condition, inspect, name_of, run_of, settle
from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.registry import Registry, publish

pytestmark = pytest.mark.lab


@contextmanager
def small_disk(folder: Path, *, size: str) -> Iterator[None]:
    """Mount a file system of this size at `folder` while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)]
    assert subprocess.run(words, check=False).returncode == 0, "a full disk takes root, where tmpfs can be mounted"
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, *, leave_bytes: int = 0) -> Path:
    """Write a file until no byte more fits, then leave so much room again."""
    path = folder / "filler"
    with path.open("ab", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    filler.write(b"x" * size)
        if leave_bytes:
            filler.truncate(max(0, filler.tell() - leave_bytes))
    return path


# F-10: the controller's ----------------------------------------------------------------------------------------------


def test_f10_a_pass_that_cannot_be_written_down_does_not_begin(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": IDLE})
    with small_disk(fleet.status, size="1m"):
        refused = fleet.run("apply", "--yes").expect(1)
        assert "E_DISK_CTRL" in refused.stderr
        assert "nothing was changed" in refused.stderr
        assert fleet.containers(alpha) == {}
        assert not list(fleet.status.glob(".reserve"))
        fleet.run("plan").expect(0)
    settle(fleet)


def test_f10_a_disk_that_fills_up_inside_a_pass_ends_it_after_the_step_under_way(fleet: Driver, alpha: LabHost) -> None:
    deaf = {**DEAF, "stopGrace": "2s"}
    same = {"host": "alpha", "observability": "off"}
    # So many that what is written of them does not fit into what is left of the last page of the journal.
    names = ["deaf", *(f"next-{number}" for number in range(5))]

    def declare(**more: Any) -> None:
        for before, name in zip([None, *names], names, strict=False):
            main = {**(deaf if name == "deaf" else IDLE), **more}
            after = {"dependsOn": [before]} if before else {}
            fleet.declare_sandbox(name, **same, **after, containers={"main": main})

    with small_disk(fleet.status, size="10m"):
        declare()
        settle(fleet)
        before = run_of(fleet, alpha)
        declare(env={"NEW": "1"})
        running = fleet.start("apply", "--yes", "--json")
        running.until_progress("stop the old")
        filler = fill(fleet.status)
        ended = running.wait().expect(1, 3)
        errors = {line["address"]: line for line in ended.lines if line["type"] == "apply_errored"}
        assert {error["code"] for error in errors.values()} == {"E_DISK_CTRL"}, errors
        assert "sandbox/next-4" in errors
        last = name_of(fleet, "next-4")
        assert run_of(fleet, alpha)[last] == before[last], "what was not begun is as it was"
        for path in (*fleet.status.glob("*.json"), *fleet.status.glob("*/*.json")):
            json.loads(path.read_text())
        assert not list(fleet.status.rglob(".new-*"))
        filler.unlink()
        settle(fleet)
        assert set(fleet.containers(alpha)) == {name_of(fleet, name) for name in names}


# F-11: a host's ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registry(lab_folder: Path) -> Iterator[Registry]:
    """Give a registry on a host whose engine has a small disk of its own."""
    small = lab_folder / "small-data"
    dice = random.Random(1)  # noqa: S311  # bytes that do not compress, and are the same in every run
    with small_disk(small, size="48m"):
        daemon = {"data-root": str(small), "max-download-attempts": 1}
        options = HostOptions(generation="bookworm", own_network=True, daemon=daemon)
        with LabHost.start(lab_folder, "small", options) as host:
            served = Registry(host, port=5000)
            served.start()
            publish(host, f"{served.address}/lab/big:1", files={"/blob": dice.randbytes(6_000_000)})
            host.load_image("lab/busybox:1")
            yield served


@pytest.fixture
def small(bare: Driver, registry: Registry) -> Iterator[Driver]:
    """Give a driver that knows the host with the small disk, with one sandbox that runs there."""
    host = registry.host
    bare.declare_fleet()
    bare.declare_host(host)
    bare.declare_sandbox("old", host="small", observability="off", containers={"main": IDLE})
    settle(bare)
    yield bare
    (host.data_root.parent.parent / "small-data/filler").unlink(missing_ok=True)
    bare.clear(host)


def _disk_of(registry: Registry) -> Path:
    return Path(registry.host.engine("GET", "/info")["DockerRootDir"])


def test_f11_an_image_that_does_not_fit_stops_nothing_and_is_not_pulled_in_a_loop(
    small: Driver, registry: Registry
) -> None:
    host = registry.host
    before = run_of(small, host)
    images = host.docker("image", "ls", "--all", "--quiet")
    new = {**IDLE, "image": f"{registry.address}/lab/big:1"}
    small.declare_sandbox("old", host="small", observability="off", containers={"main": new})
    filler = fill(_disk_of(registry), leave_bytes=3 << 20)
    asked = registry.requests
    failed = small.run("apply", "--yes", "--json").expect(1)
    (error,) = [line for line in failed.lines if line["type"] == "apply_errored"]
    assert error["code"] == "E_HOST_DISK", error
    assert "free space" in error["hint"]
    assert registry.requests - asked <= 20, "two pulls of two layers, and no loop"
    assert host.docker("image", "ls", "--all", "--quiet") == images
    assert run_of(small, host) == before, "nothing is stopped before its successor's image is there"
    assert condition(small, "old", "Reconciling") == "True/StepFailed"
    filler.unlink()
    settle(small)
    assert inspect(host, name_of(small, "old"))["Config"]["Image"] == new["image"]


def test_f11_a_container_that_does_not_fit_leaves_nothing_behind(small: Driver, registry: Registry) -> None:
    host = registry.host
    before = run_of(small, host)
    small.declare_sandbox("new", host="small", observability="off", containers={"main": IDLE})
    filler = fill(_disk_of(registry))
    failed = small.run("apply", "--yes", "--json").expect(1, 3)
    (error,) = [line for line in failed.lines if line["type"] == "apply_errored"]
    assert error["code"] == "E_HOST_DISK", error
    assert error["address"] == "sandbox/new"
    assert run_of(small, host) == before
    filler.unlink()
    settle(small)
    assert set(small.containers(host)) == {name_of(small, "old"), name_of(small, "new")}


def test_f11_a_full_base_folder_is_said_before_any_container_is_made(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    base = f"{alpha.home}/full-{fleet.fleet}/base"
    alpha.run("install", "-d", "-o", str(alpha.uid), "-m", "0700", str(Path(base).parent))
    owner = f"size=64k,mode=0700,uid={alpha.uid},gid={alpha.record.gid}"
    alpha.run("mount", "-t", "tmpfs", "-o", owner, "tmpfs", str(Path(base).parent))

    def fill_it() -> None:
        alpha.run("sh", "-c", f"head -c 65536 /dev/zero >{Path(base).parent}/filler || true")

    try:
        fill_it()
        fleet.declare_host(alpha, baseDir=base)
        fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": IDLE})
        failed = fleet.run("apply", "--yes", "--json").expect(1)
        (error,) = [line for line in failed.lines if line["type"] == "apply_errored"]
        assert error["code"] == "E_HOST_DISK", error
        assert fleet.containers(alpha) == {}
        alpha.run("rm", f"{Path(base).parent}/filler")
        settle(fleet)
        fill_it()
        fleet.run("destroy", "--all", "--yes").expect(0)
        assert fleet.containers(alpha) == {}, "a full disk keeps nobody from removing what fills it"
    finally:
        alpha.run("umount", "-l", str(Path(base).parent))
        alpha.run("rmdir", str(Path(base).parent))
