"""A sandbox that may be placed is checked on each host that it may be on, before anything is planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.load.lower import lower
from reconciler.model.desired import Desired
from reconciler.model.names import sandbox_uid
from reconciler.model.problem import Problem
from tests.unit.load.bad_specs import FLEET, OTHER_KEY, documents, host, problems, sandbox

THIRD_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"


def labelled(text: str, name: str, labels: str) -> str:
    return text.replace(f"metadata: {{name: {name}}}", f"metadata: {{name: {name}, labels: {{{labels}}}}}")


H1 = labelled(host(), "h1", "pool: gpu, zone: a")
H2 = labelled(host("h2", address="10.0.0.2", key=OTHER_KEY), "h2", "pool: gpu, zone: b")
H3 = labelled(host("h3", address="10.0.0.3", key=THIRD_KEY), "h3", "pool: cpu, zone: b")
HOSTS: dict[str, str | bytes] = {"h1": H1, "h2": H2, "h3": H3}


def placed(
    name: str = "web", *, selector: str = "pool: gpu", container: str = "image: web:1", rest: str = "", more: str = ""
) -> str:
    text = sandbox(name, container=container, rest=rest)
    return text.replace("  host: h1\n", f"  placement: {{selector: {{{selector}}}{more}}}\n")


def lowered(folder: Path, **files: str | bytes) -> Desired:
    return lower(documents(folder, **{**HOSTS, **files}))


def told(found: tuple[Problem, ...], code: str) -> Problem:
    assert [problem.code for problem in found] == [code], found
    assert found[0].at.line > 0
    return found[0]


def test_it_is_lowered_for_every_host_with_all_of_the_labels(tmp_path: Path) -> None:
    desired = lowered(tmp_path, s=placed(more=", strategy: pack"))
    choice = desired.choices["web"]
    assert (choice.strategy, choice.selector, choice.hosts) == ("pack", {"pool": "gpu"}, {"h1": 0, "h2": 0})
    assert [one.host for one in desired.everywhere()] == ["h1", "h2"]
    assert desired.sandboxes["web"] == choice.on("h1")
    assert choice.on("h2").uid == sandbox_uid("lab", "web")


@pytest.mark.parametrize(
    ("selector", "hosts"),
    [("", ["h1", "h2", "h3"]), ("zone: b", ["h2", "h3"]), ("pool: gpu, zone: b", ["h2"])],
)
def test_every_label_counts_and_none_means_any_host(selector: str, hosts: list[str], tmp_path: Path) -> None:
    assert sorted(lowered(tmp_path, s=placed(selector=selector)).choices["web"].hosts) == hosts


def test_one_that_names_its_host_is_no_choice(tmp_path: Path) -> None:
    assert lowered(tmp_path, s=sandbox()).choices == {}


def test_what_depends_on_the_host_is_read_once_for_each(tmp_path: Path) -> None:
    name = "image: web:1\n      env: {WHERE: '${host.name}', DATA: '${storage.data}'}"
    choice = lowered(tmp_path, s=placed(container=name)).choices["web"]
    env = {host: choice.on(host).containers[0].env for host in choice.hosts}
    assert env == {"h1": {"DATA": "/srv/data", "WHERE": "h1"}, "h2": {"DATA": "/srv/data", "WHERE": "h2"}}
    same = lowered(tmp_path, s=placed(container=name.replace("WHERE: '${host.name}', ", ""))).choices["web"]
    assert len(same.forms) == 1


def test_what_is_data_is_told_by_the_roots_of_each_host(tmp_path: Path) -> None:
    directory = "  directories: {d: {path: '${storage.data}/web'}}\n"
    moved = H2.replace("data: /srv/data", "data: /mnt/data")
    choice = lowered(tmp_path, h2=moved, s=placed(rest=directory)).choices["web"]
    found = {host: choice.on(host).directories[0] for host in choice.hosts}
    assert {host: (one.path, one.data) for host, one in found.items()} == {
        "h1": ("/srv/data/web", True),
        "h2": ("/mnt/data/web", True),
    }


def test_the_placement_may_come_from_a_profile_and_its_inputs(tmp_path: Path) -> None:
    profile = (
        "apiVersion: reconciler/v1\nkind: Profile\nmetadata: {name: pool}\nspec:\n"
        "  inputs: {type: object, properties: {pool: {type: string}}, required: [pool]}\n"
        "  sandbox: {placement: {selector: {pool: '${inputs.pool}'}}, containers: {main: {image: web:1}}}\n"
    )
    head = "apiVersion: reconciler/v1\nkind: Sandbox\nmetadata: {name: web}\nspec:\n  profile: pool\n"
    given = f"{head}  inputs: {{pool: cpu}}\n"
    assert lowered(tmp_path, p=profile, s=given).choices["web"].hosts == {"h3": 0}
    pinned = f"{given}  host: h1\n  placement: null\n"
    assert lowered(tmp_path, p=profile, s=pinned).choices == {}
    both = told(problems(tmp_path, **HOSTS, p=profile, s=f"{given}  host: h1\n"), "E_CONFLICT")
    assert (both.field, "placement: null" in (both.hint or "")) == ("spec.placement", True)
    missing = problems(tmp_path, **HOSTS, p=profile, s=head)
    assert "E_INPUT" in {problem.code for problem in missing}


# What is wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "message", "hint"),
    [
        ("pool: gpuu", "no host has the label pool=gpuu", "did you mean pool=gpu?"),
        ("rack: '7'", "no host has the label rack=7", "hosts have: pool=cpu, pool=gpu, zone=a, zone=b"),
        (
            "pool: cpu, zone: a",
            "no host has all of pool=cpu, zone=a",
            "h1 has pool=gpu, zone=a; h2 has pool=gpu, zone=b; h3 has pool=cpu, zone=b",
        ),
    ],
)
def test_labels_that_no_host_has_are_a_problem(selector: str, message: str, hint: str, tmp_path: Path) -> None:
    problem = told(problems(tmp_path, **HOSTS, s=placed(selector=selector)), "E_REF")
    assert (problem.field, problem.message, problem.hint) == ("spec.placement.selector", message, hint)


def test_a_host_that_cannot_be_read_may_have_the_labels(tmp_path: Path) -> None:
    broken = labelled(host(address="10.0.0.1", rest="  nonsense: 1\n"), "h1", "pool: gpu")
    assert told(problems(tmp_path, h1=broken, s=placed()), "E_UNKNOWN_FIELD").field == "spec.nonsense"


def test_host_and_placement_together_are_a_problem(tmp_path: Path) -> None:
    both = sandbox(rest="  placement: {selector: {pool: gpu}}\n")
    assert told(problems(tmp_path, **HOSTS, s=both), "E_CONFLICT").field == "spec.placement"


def test_neither_is_a_problem(tmp_path: Path) -> None:
    neither = sandbox().replace("  host: h1\n", "")
    problem = told(problems(tmp_path, **HOSTS, s=neither), "E_REQUIRED")
    assert "placement" in (problem.hint or "")


@pytest.mark.parametrize("word", ["strategy: sprawl", "strategie: pack"])
def test_what_is_misspelt_in_it_is_told_once(word: str, tmp_path: Path) -> None:
    found = problems(tmp_path, **HOSTS, s=placed(more=f", {word}"))
    assert len(found) == 1, found
    assert found[0].field.startswith("spec.placement.strateg")


def test_a_spec_that_cannot_stand_on_one_of_its_hosts_is_a_problem_that_names_it(tmp_path: Path) -> None:
    container = "image: web:1\n      env: {FAST: '${storage.fast}'}"
    fast = H1.replace("{data: /srv/data}", "{data: /srv/data, fast: /mnt/fast}")
    found = problems(tmp_path, h1=fast, h2=H2, s=placed(container=container))
    assert told(found, "E_INTERPOLATION").message == "${storage.fast} is unknown (on host h2, where it may be placed)"
    everywhere = problems(tmp_path, h1=H1, h2=H2, s=placed(container=container))
    assert told(everywhere, "E_INTERPOLATION").message == "${storage.fast} is unknown"


def test_a_mount_that_one_of_its_hosts_would_be_given_away_by_is_a_problem(tmp_path: Path) -> None:
    fleet = FLEET + "spec: {policy: {mounts: [/srv]}}\n"
    based = H2.replace("  storageRoots:", "  baseDir: /srv/ours/lab\n  storageRoots:")
    container = "image: web:1\n      mounts: {/in: {path: /srv/ours}}"
    found = problems(tmp_path, fleet=fleet, h1=H1, h2=based, s=placed(container=container))
    problem = told(found, "E_POLICY_MOUNT")
    assert "the markers of all sandboxes" in problem.message
    assert "(on host h2, where it may be placed)" in problem.message


def test_a_port_that_one_of_its_hosts_has_given_away_is_a_problem(tmp_path: Path) -> None:
    ports = "image: web:1\n      ports: {web: {container: 80, host: 8080}}"
    taken = sandbox("fixed", container=ports, on="h2")
    found = problems(tmp_path, **HOSTS, f=taken, s=placed(container=ports))
    assert "port 8080/tcp of host h2 is taken by" in told(found, "E_PORT_DUP").message
    assert problems(tmp_path, **HOSTS, f=sandbox("fixed", container=ports, on="h3"), s=placed(container=ports)) == ()


def test_a_path_that_one_of_its_hosts_has_given_away_is_a_problem(tmp_path: Path) -> None:
    written = "  files: {f: {path: '${storage.data}/x', content: a}}\n"
    found = problems(tmp_path, **HOSTS, f=sandbox("fixed", on="h2", rest=written), s=placed(rest=written))
    assert told(found, "E_DUPLICATE").field.startswith("spec.files.f")
