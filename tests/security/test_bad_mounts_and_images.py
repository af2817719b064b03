"""Bad inputs 40 and 50 by number: mounts whose source is a link, and images that the policy does not allow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import held, name_of, web_sandbox
from tests.lab.host import LabHost
from tests.unit.load.bad_specs import FLEET, Case, host, sandbox


def _under(policy: str, image: str) -> dict[str, str | bytes]:
    fleet = f"{FLEET}spec: {{policy: {{images: [{policy}]}}}}\n"
    return {"fleet": fleet, "h": host(), "s": sandbox(container=f'image: "{image}"')}


CASES = [
    Case(
        50, "latest where a digest is wanted", _under('"*@sha256:*"', "web:latest"), "E_POLICY_IMAGE", "policy.images"
    ),
    Case(50, "no tag where a digest is wanted", _under('"*@sha256:*"', "web"), "E_POLICY_IMAGE", "policy.images"),
    Case(
        50, "another registry", _under('"registry.example/*"', "docker.io/web:1"), "E_POLICY_IMAGE", "registry.example"
    ),
    Case(50, "nothing is allowed", _under("", "web:1"), "E_POLICY_IMAGE", "nothing"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_input_gets_its_answer(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


@pytest.fixture
def allowed(fleet: Driver, alpha: LabHost) -> Iterator[Path]:
    """Give a folder of the host whose contents may be mounted."""
    folder = alpha.home / "allowed"
    for name in ("allowed", "allowed/real", "allowed/closed", "decoy", "decoy/below"):
        (alpha.home / name).mkdir()
    (folder / "closed").chmod(0o700)
    fleet.drop("Host", "beta")
    fleet.declare_fleet(policy={"mounts": [str(folder)]})
    yield folder
    alpha.run("rm", "-rf", "--", folder, alpha.home / "decoy")


def refusals(driver: Driver, sources: dict[str, Path]) -> dict[str, tuple[str, str]]:
    """Apply a sandbox for each source, named by it, and give code and message of each that failed."""
    for name, path in sources.items():
        web_sandbox(driver, name, "alpha", container={"mounts": {"/x": {"path": str(path)}}})
    lines = driver.run("apply", "--yes", "--json").expect(1, 3).lines
    failed = [line for line in lines if line["type"] == "apply_errored"]
    assert all(line["hint"] for line in failed)
    return {line["address"].removeprefix("sandbox/"): (line["code"], line["@message"]) for line in failed}


@pytest.mark.lab
def test_40_s14_a_source_that_is_a_link_is_judged_by_what_it_is(fleet: Driver, alpha: LabHost, allowed: Path) -> None:
    decoy = alpha.home / "decoy"
    (allowed / "link").symlink_to(decoy)
    (allowed / "near").symlink_to("../decoy")
    (allowed / "round").symlink_to("round")
    says = {
        "link": str(decoy),
        "link/below": f"{decoy}/below",
        "near": str(decoy),
        "round": "cannot be looked at",
        "closed/x": "cannot be looked at",
    }
    found = refusals(fleet, {name.replace("/", "-"): allowed / name for name in (*says, "real")})
    assert {name: code for name, (code, _) in found.items()} == {
        name.replace("/", "-"): "E_POLICY_MOUNT" for name in says
    }
    assert [name for name, text in says.items() if text not in found[name.replace("/", "-")][1]] == []
    assert set(fleet.containers(alpha)) == {name_of(fleet, "real")}


@pytest.mark.lab
def test_40_s14_the_base_folder_is_found_where_the_host_has_it(fleet: Driver, alpha: LabHost, allowed: Path) -> None:
    """Put a base folder where no spec shows it: below a home that is not where homes usually are."""
    fleet.declare_fleet(policy={"mounts": [str(alpha.home)]})
    fleet.declare_host(alpha, baseDir="${host.home}/kept/lab")
    sources = {"home": alpha.home, "above": alpha.home / "kept", "others": alpha.home / "kept/lab/0123abcd/data"}
    try:
        for name, path in {**sources, "real": allowed / "real"}.items():
            web_sandbox(fleet, name, "alpha", container={"mounts": {"/x": {"path": str(path)}}})
        fleet.run("apply", "--yes").expect(3)
        expected = {f"sandbox/{name}": "PolicyMount" for name in sources}
        assert {name: one.reason for name, one in held(fleet).items()} == expected
        assert set(fleet.containers(alpha)) == {name_of(fleet, "real")}
    finally:
        alpha.run("rm", "-rf", "--", alpha.home / "kept")
