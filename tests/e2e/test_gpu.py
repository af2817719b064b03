"""GPUs on a real engine: held back where they are missing, made without and said so, lent, and never a phantom.

No card is at hand. `nvidia-smi` is a stand-in that prints what the real one does, and so is the hook by which an
engine knows that it can lend GPUs: it does nothing. The engine, its driver for GPUs and what it asks of it are real.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, expect_settled, held, settle
from tests.lab.config import HostOptions, session_path
from tests.lab.host import LabHost
from tests.lab.packages import Generation

pytestmark = pytest.mark.lab

NVIDIA_SMI = """#!/bin/sh
case "$*" in
*query-gpu*) echo "0, 24576, 0, 0, 550.54.15, NVIDIA L4"; echo "1, 24576, 0, 0, 550.54.15, NVIDIA L4" ;;
*) echo "| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4   |" ;;
esac
"""
HOOK = "nvidia-container-runtime-hook"


@pytest.fixture(params=[name for name in get_args(Generation) if name != "path"])
def cards(request: pytest.FixtureRequest, lab_folder: Path) -> Iterator[LabHost]:
    """Give a host of each engine generation with two GPUs; its engine cannot lend them yet."""
    tools = lab_folder / f"tools-{request.param}"
    tools.mkdir()
    put(tools / "nvidia-smi", NVIDIA_SMI)
    path = f"{tools}:{session_path(request.param)}"
    options = HostOptions(generation=request.param, sshd=[f"SetEnv PATH={path}"])
    with LabHost.start(lab_folder, f"cards-{request.param}", options) as host:
        host.programs = replace(host.programs, path=f"{tools}:{host.programs.path}")
        host.load_image("lab/busybox:1")
        yield host


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def want(driver: Driver, name: str, gpu: dict[str, Any], **spec: Any) -> None:
    driver.declare_sandbox(name, **{"observability": "off", "gpu": gpu, "containers": {"main": IDLE}, **spec})


def requests_of(host: LabHost, driver: Driver, name: str) -> Any:
    """Give what the engine was asked for, by its own account, and the GPUs that the container's process is told of."""
    label = json.dumps({"label": [f"dev.reconciler.fleet={driver.fleet}", f"dev.reconciler.sandbox={name}"]})
    (seen,) = host.containers(filters=label)
    asked = host.engine("GET", f"/containers/{seen['Id']}/json")["HostConfig"]["DeviceRequests"]
    told = host.docker("exec", seen["Id"], "cat", "/proc/1/environ").split("\0")
    lent = [line.partition("=")[2] for line in told if line.startswith("NVIDIA_VISIBLE_DEVICES=")]
    return [(one["Count"], one["Capabilities"]) for one in asked or []], lent


def test_gpus_are_lent_missing_and_done_without(bare: Driver, alpha: LabHost, cards: LabHost, lab_folder: Path) -> None:
    tools = lab_folder / f"tools-{cards.record.generation}"
    bare.declare_fleet()
    bare.declare_host(alpha)
    bare.declare_host(cards)
    want(bare, "needs", {"policy": "require", "count": 1}, placement={"selector": {"pool": "lab"}})

    failed = bare.run("apply", "--yes").expect(1)
    assert "has no driver that lends GPUs" in failed.stdout + failed.stderr
    assert "install the NVIDIA Container Toolkit" in failed.stdout + failed.stderr
    assert f"sandbox/needs on {cards.name}" in failed.stdout
    assert "left out: alpha has no GPU: 1 missing" in failed.stdout

    put(tools / HOOK, "#!/bin/sh\nexit 0\n")
    cards.restart_dockerd()
    settle(bare)
    assert requests_of(cards, bare, "needs") == ([(1, [["gpu"]])], ["0"])

    want(bare, "older", {"cuda": "12.9"}, host=cards.name)
    want(bare, "more", {"policy": "require", "count": 2}, host=cards.name)
    applied = bare.run("apply", "--yes").expect(3)
    note = f"main is made without GPUs: {cards.name} offers CUDA 12.4, and 12.9 or newer is asked for"
    assert note in " ".join(applied.stdout.split())
    assert requests_of(cards, bare, "older") == ([], [])
    refused = held(bare)["sandbox/more"]
    assert refused.reason == "AdmissionRefused"
    assert refused.message == f"{cards.name} has 1 of 2 GPUs free: 1 missing (2 there, 1 taken)"
    kept = [json.loads(path.read_text()) for path in (bare.status / "passes").glob("*/plan.json")]
    assert [note] in [action["notes"] for plan in kept for action in plan["actions"] if action["sandbox"] == "older"]

    bare.drop("Sandbox", "more")
    (tools / "nvidia-smi").unlink()
    expect_settled(bare)
    want(bare, "older", {"policy": "off"}, host=cards.name)
    settle(bare)
    bare.run("destroy", "--yes", "needs", "older").expect(0)
