"""Keep a folder on a host like one of the operator's: sent when it changed, whole, and taken away with its sandbox."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import name_of, planned_verbs, run_of, settle, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


@pytest.fixture
def app(fleet: Driver) -> Path:
    """Make a folder beside the specs, with what git would ignore in it."""
    folder = fleet.folder / "app"
    (folder / "lib").mkdir(parents=True)
    (folder / "main.py").write_text("print('one')\n")
    (folder / "lib/deep.txt").write_text("deep\n")
    (folder / ".gitignore").write_text("*.log\n.env\n")
    (folder / ".env").write_text("TOKEN=never-sent\n")
    (folder / "noise.log").write_text("noise\n")
    return folder


def placed(driver: Driver, host: LabHost) -> dict[str, str]:
    """Give what lies in the one tree of a fleet: paths and contents."""
    (source,) = [
        Path(path) for path in host.run("find", driver.base_dir(host), "-maxdepth", "2", "-name", "source").split()
    ]
    return {str(path.relative_to(source)): path.read_text() for path in source.rglob("*") if path.is_file()}


def test_a_sandbox_may_be_a_tree_alone(fleet: Driver, alpha: LabHost, app: Path) -> None:
    fleet.declare_sandbox("app", host="alpha", source={"path": "../app"})
    assert planned_verbs(fleet) == {"sandbox/app": "create"}
    settle(fleet)
    assert placed(fleet, alpha) == {
        ".gitignore": "*.log\n.env\n",
        "main.py": "print('one')\n",
        "lib/deep.txt": "deep\n",
    }
    (seen,) = fleet.run("status", "-o", "json").expect(0).json["sandboxes"]
    assert (seen["sync"], seen["health"]) == ("Synced", "Healthy")

    (app / "main.py").write_text("print('two')\n")
    (app / "lib/deep.txt").unlink()
    shown = fleet.run("plan").expect(0).stdout
    assert "source" in shown
    assert "tree1:" in shown
    settle(fleet)
    assert placed(fleet, alpha) == {".gitignore": "*.log\n.env\n", "main.py": "print('two')\n"}

    shutil.rmtree(fleet.status)
    assert planned_verbs(fleet) == {"sandbox/app": "adopt"}
    settle(fleet)

    alpha.run("sh", "-c", f"rm -rf {fleet.base_dir(alpha)}/*/source")
    assert planned_verbs(fleet) == {"sandbox/app": "update"}
    settle(fleet)
    assert "main.py" in placed(fleet, alpha)

    fleet.run("destroy", "app", "--yes").expect(0)
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "main.py") == ""


def test_a_running_container_sees_what_is_new_and_goes_on(fleet: Driver, alpha: LabHost, app: Path) -> None:
    web_sandbox(fleet, "web", "alpha", source={"path": str(app)}, container={"mounts": {"/app": {"source": True}}})
    settle(fleet)
    run = run_of(fleet, alpha)
    (app / "main.py").write_text("print('two')\n")
    settle(fleet)
    assert alpha.docker("exec", name_of(fleet, "web"), "cat", "/app/main.py") == "print('two')\n"
    assert run_of(fleet, alpha) == run

    web_sandbox(fleet, "web", "alpha")
    assert "remove " in fleet.run("plan").expect(0).stdout
    settle(fleet)
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "main.py") == ""


def test_what_is_said_to_be_left_out_goes_before_the_folders_own_rules(
    fleet: Driver, alpha: LabHost, app: Path
) -> None:
    fleet.declare_sandbox("app", host="alpha", source={"path": "../app", "exclude": ["!*.log", "/lib/"]})
    settle(fleet)
    assert sorted(placed(fleet, alpha)) == [".gitignore", "main.py", "noise.log"]


def test_a_saved_plan_knows_its_tree(fleet: Driver, app: Path) -> None:
    fleet.declare_sandbox("app", host="alpha", source={"path": "../app"})
    fleet.run("plan", "--out", "saved.plan").expect(0)
    (app / "main.py").write_text("print('two')\n")
    refused = fleet.run("apply", "saved.plan").expect(4)
    assert "the specs have changed" in refused.stderr


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "is not there"),
        (lambda app: (app / "out").symlink_to("/etc/hostname"), "outside the tree"),
        (lambda app: (app / "a\nb").write_text(""), "control character"),
    ],
    ids=["gone", "link-outside", "odd-name"],
)
def test_a_tree_that_cannot_be_sent_is_a_problem_of_its_line(
    fleet: Driver, app: Path, spoil: Callable[[Path], object], said: str
) -> None:
    fleet.declare_sandbox("app", host="alpha", source={"path": "../app"})
    spoil(app)
    refused = fleet.run("validate", "-o", "json").expect(1)
    (problem,) = [json.loads(line) for line in refused.stdout.splitlines()]
    assert problem["code"] == "E_SOURCE"
    assert said in problem["message"]
    assert problem["field"] == "spec.source.path"
    assert problem["line"] > 1
