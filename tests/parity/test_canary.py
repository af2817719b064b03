"""Rows 56, 57 and 71: the canary, with no image and with compose, and what it does not touch."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import settle, status_of, until, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


@pytest.fixture
def repo(fleet: Driver) -> Path:
    """Make a checkout beside the specs."""
    folder = fleet.folder / "repo"
    folder.mkdir()
    (folder / "README").write_text("deploy me\n")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def test_row_56_a_canary_reports_on_its_host(fleet: Driver, alpha: LabHost, repo: Path) -> None:
    root = f"{alpha.home}/legacy-{fleet.fleet}"
    fleet.declare_fleet(reap={"legacyRoots": [root]})
    alpha.run("mkdir", "-p", f"{root}/old")
    ran = fleet.run("canary", "alpha", "--repo", repo).expect(0)
    assert "canary-alpha on alpha: ready" in ran.stdout
    for word in ("load", "memory", "stale", "disk"):
        assert f"\n    {word} " in ran.stdout, ran.stdout
    found = alpha.run("find", fleet.base_dir(alpha), "-name", "README")
    assert Path(found.strip()).read_text() == "deploy me\n"
    report = status_of(fleet, "canary-alpha")["report"]
    assert report["host"] == "alpha"
    assert report["provision"]["verb"] == "create"
    assert report["provision"]["change"] is not None
    assert report["snapshot"]["memory_available_bytes"] > 0
    assert any(one["found"]["object"] == f"folder/{root}/old" for one in report["stale"])
    # Recorded as ad hoc: no spec names it, and nobody takes it away before its time.
    assert json.loads(fleet.run("plan", "-o", "json").expect(0).stdout)["actions"] == []
    assert fleet.run("apply", "--yes").expect(0)
    assert status_of(fleet, "canary-alpha")["report"] == report


def test_row_56_flags_win_and_the_default_tree_is_the_checkout(fleet: Driver, alpha: LabHost, repo: Path) -> None:
    other = fleet.folder / "other"
    other.mkdir()
    (other / "OTHER").write_text("x")
    env = {"RECONCILE_REPO_ROOT": str(repo)}
    fleet.run("canary", "alpha", env=env).expect(0)
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "README")
    fleet.run("canary", "alpha", "--repo", other, env=env).expect(0)
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "OTHER")
    assert not alpha.run("find", fleet.base_dir(alpha), "-name", "README")


def test_row_56_with_destroy_the_teardown_is_measured_too(fleet: Driver, alpha: LabHost, repo: Path) -> None:
    ran = fleet.run("canary", "alpha", "--repo", repo, "--destroy", "-o", "json").expect(0)
    (told,) = ran.json["canaries"]
    assert (told["name"], told["host"], told["ready"]) == ("canary-alpha", "alpha", True)
    assert told["report"]["provision"]["verb"] == "create"
    assert told["report"]["teardown"]["verb"] == "destroy"
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "README") == ""
    assert fleet.run("status", "-o", "json").json["sandboxes"] == []


def test_row_56_each_further_run_is_ready_again(fleet: Driver, alpha: LabHost, repo: Path) -> None:
    for turn in range(3):
        (repo / "README").write_text(f"turn {turn}\n")
        assert "canary-alpha on alpha: ready" in fleet.run("canary", "alpha", "--repo", repo).expect(0).stdout
        assert status_of(fleet, "canary-alpha")["health"] == "Healthy"
    fleet.run("apply", "--yes").expect(0)
    assert status_of(fleet, "canary-alpha")["health"] == "Healthy"
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "README")


def test_row_56_what_is_not_taken_away_is_said_with_the_reason(fleet: Driver, alpha: LabHost, repo: Path) -> None:
    fleet.declare("Profile", "kept", {"sandbox": {"protect": True}})
    words = ("canary", "alpha", "--repo", repo, "--profile", "kept", "--destroy")
    refused = fleet.run(*words).expect(5)
    assert "Protected" in refused.stdout
    (told,) = fleet.run(*words, "-o", "json").expect(5).json["canaries"]
    assert (told["ready"], told["deployed"], told["destroyed"]) == (True, None, "held")
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "README")


def test_row_56_a_path_means_what_it_says(fleet: Driver, alpha: LabHost) -> None:
    odd = fleet.folder / "${host.name}"
    odd.mkdir()
    (odd / "ODD").write_text("x")
    fleet.run("canary", "alpha", "--repo", odd).expect(0)
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "ODD")
    other = fleet.folder / os.fsdecode(b"caf\xe9")
    other.mkdir()
    refused = fleet.run("canary", "alpha", "--repo", other).expect(64)
    assert "is not UTF-8" in refused.stderr


def test_row_56_a_fleet_of_canaries_alone_is_cleaned_by_their_ttl(fleet: Driver, alpha: LabHost, repo: Path) -> None:
    fleet.declare("Profile", "brief", {"sandbox": {"ttl": "1s"}})
    fleet.run("canary", "alpha", "--repo", repo, "--profile", "brief").expect(0)
    until(lambda: "reap" in fleet.run("plan").stdout, what="its ttl to end")
    # Asked for again, it lives again.
    again = fleet.run("canary", "alpha", "--repo", repo, "--profile", "brief").expect(0)
    assert "canary-alpha on alpha: ready" in again.stdout
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "README")
    until(lambda: "reap" in fleet.run("plan").stdout, what="its ttl to end again")
    fleet.run("reap-stale", "--apply", "--yes").expect(0)
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "README") == ""


def test_row_56_as_compose_where_an_image_is_there(fleet: Driver, alpha: LabHost, repo: Path) -> None:
    if not (alpha.home / ".docker/cli-plugins").exists():
        alpha.give_compose()
    service = {"image": "lab/busybox:1", "command": ["sleep", "600"], "stop_grace_period": "1s", "init": True}
    (repo / "docker-compose.canary.yml").write_text(json.dumps({"services": {"probe": service}}))
    fleet.run("canary", "alpha", "--repo", repo, "--compose", "docker-compose.canary.yml").expect(0)
    assert len(fleet.containers(alpha)) == 1
    fleet.run("canary", "alpha", "--repo", repo, "--compose", "docker-compose.canary.yml", "--destroy").expect(0)
    assert fleet.containers(alpha) == {}


def test_row_56_a_spec_with_the_profile_gives_the_same(fleet: Driver, repo: Path) -> None:
    fleet.declare_sandbox("probe", host="alpha", profile="sandbox-canary", inputs={"repo": "../repo"})
    settle(fleet)
    report = status_of(fleet, "probe")["report"]
    assert report["provision"]["verb"] == "create"
    assert repo.name == "repo"


def test_row_56_which_host_must_be_said(fleet: Driver, repo: Path) -> None:
    refused = fleet.run("canary", "--repo", repo).expect(64)
    assert "there are 2 hosts" in refused.stderr
    assert "--all" in refused.stderr
    refused = fleet.run("canary", "alhpa", "--repo", repo).expect(64)
    assert "alpha" in refused.stderr
    fleet.run("canary", "--all", "--repo", repo, "--destroy").expect(0)


def test_row_57_an_ordinary_sandbox_gets_no_canary(fleet: Driver, repo: Path) -> None:
    web_sandbox(fleet, "web", "alpha", source={"path": "../repo"}, observability="deltas")
    settle(fleet)
    assert status_of(fleet, "web").get("report") is None
    assert not (fleet.status / "sandboxes/canary-alpha.json").exists()
    assert repo.is_dir()


def test_row_57_an_explicit_profile_wins(fleet: Driver, alpha: LabHost, repo: Path) -> None:
    fleet.declare("Profile", "mine", {"sandbox": {"directories": {"extra": {"path": "extra"}}}})
    fleet.run("canary", "alpha", "--repo", repo, "--profile", "mine").expect(0)
    assert alpha.run("find", fleet.base_dir(alpha), "-name", "extra")


def test_row_71_a_person_reads_what_it_cost(fleet: Driver, repo: Path) -> None:
    said = fleet.run("canary", "alpha", "--repo", repo).expect(0).stdout
    lines = {text.split()[0]: text for text in said.splitlines() if text.startswith("    ")}
    assert "before" in lines["load"]
    assert "after" in lines["load"]
    assert "available before" in lines["memory"]
    assert "free on /" in lines["disk"]
    assert "stale" in lines
