"""Read the trees of a fleet with its specs: each once, with every problem said, and in the digest of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.disk.tree import read_tree
from reconciler.load.trees import with_trees
from reconciler.model.desired import Desired, SandboxDesired
from reconciler.model.problem import Problem, SpecInvalid
from reconciler.model.resource import Compose, Tree
from tests import builders as b


def sourced(name: str, folder: str, *more: Any, **over: Any) -> SandboxDesired:
    exclude = over.pop("exclude", ())
    return b.a_sandbox(name, resources=(Tree(path="/t/source", folder=folder, exclude=exclude), *more), **over)


def fleet(*sandboxes: SandboxDesired) -> Desired:
    return b.a_desired(*sandboxes, sourced=tuple(one.name for one in sandboxes if one.tree is not None))


def problems(folder: Path, *sandboxes: SandboxDesired) -> tuple[Problem, ...]:
    with pytest.raises(SpecInvalid) as caught:
        with_trees(fleet(*sandboxes), folder)
    return caught.value.problems


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.txt").write_text("one")
    (tmp_path / "app/debug.log").write_text("noise")
    return tmp_path


def test_what_is_in_a_tree_becomes_part_of_what_is_meant(app: Path) -> None:
    before = fleet(sourced("web-1", "../app", exclude=("*.log",)))
    found = with_trees(before, app / "specs")
    tree = found.sandboxes["web-1"].tree
    assert tree is not None
    assert tree.content == read_tree(app / "app", ("*.log",)).content
    assert (tree.entries, tree.size_bytes, tree.folder) == (1, 3, str(app / "app"))
    assert found.sandboxes["web-1"].intent != before.sandboxes["web-1"].intent
    assert found.digest != before.digest
    assert with_trees(before, app / "specs") == found


@pytest.mark.parametrize("is_left_out", [False, True])
def test_a_change_in_a_tree_is_a_change_of_intent_unless_it_is_left_out(app: Path, *, is_left_out: bool) -> None:
    desired = fleet(sourced("web-1", "../app", exclude=("*.log",)))
    before = with_trees(desired, app / "specs")
    (app / "app" / ("debug.log" if is_left_out else "main.txt")).write_text("two")
    after = with_trees(desired, app / "specs")
    assert (after.digest == before.digest) is is_left_out
    assert (after.sandboxes["web-1"].intent == before.sandboxes["web-1"].intent) is is_left_out


def test_the_same_tree_elsewhere_means_the_same(app: Path) -> None:
    (app / "app").rename(app / "moved")
    one = with_trees(fleet(sourced("web-1", "../moved")), app / "specs")
    (app / "moved").rename(app / "app")
    other = with_trees(fleet(sourced("web-1", str(app / "app"))), app / "specs")
    assert one.sandboxes["web-1"].intent == other.sandboxes["web-1"].intent


def test_sandboxes_may_share_a_folder_and_leave_out_other_things(app: Path) -> None:
    desired = fleet(
        sourced("web-1", "../app"), sourced("web-2", "../specs/../app"), sourced("web-3", "../app", exclude=("*.log",))
    )
    found = with_trees(desired, app / "specs").sandboxes
    contents = [tree.content for tree in (found[name].tree for name in sorted(found)) if tree is not None]
    assert contents[0] == contents[1] != contents[2]


def test_without_trees_only_the_digest_is_made_anew(app: Path) -> None:
    desired = fleet(b.a_sandbox("web-1"))
    assert replace(with_trees(desired, app), digest="") == replace(desired, digest="")


def test_every_tree_that_cannot_be_read_is_a_problem_at_its_place(app: Path) -> None:
    at = b.a_ref(line=3)
    first = sourced("web-1", "../gone", origins={"source.path": at})
    second = sourced("web-2", "../app/main.txt")
    found = problems(app / "specs", second, first, sourced("web-3", "../app"))
    assert [problem.code for problem in found] == ["E_SOURCE", "E_SOURCE"]
    assert (found[0].at, found[0].field, found[0].message) == (at, "spec.source.path", f"{app / 'gone'} is not there")
    assert found[1].message.endswith("is not a folder")
    assert all(problem.hint for problem in found)


def test_a_folder_that_leads_nowhere_is_a_problem(app: Path) -> None:
    (app / "specs/loop").symlink_to("loop")
    for folder in ("~nobody-has-this-name/app", "loop"):
        (found,) = problems(app / "specs", sourced("web-1", folder))
        assert found.code == "E_SOURCE"


# Compose files --------------------------------------------------------------------------------------------------------


def composed(*probes: Any, text: str, app: Path) -> SandboxDesired:
    (app / "app/compose.yaml").write_text(text)
    return sourced("web-1", "../app", Compose(folder="/t/source", file="compose.yaml"), probes=probes)


def test_a_compose_file_is_read_with_its_tree(app: Path) -> None:
    want = composed(text="services: {web: {}, db: {}}", app=app)
    found = with_trees(fleet(want), app / "specs").sandboxes["web-1"]
    assert found.compose is not None
    assert found.compose.services == ("db", "web")


def test_a_compose_file_that_is_none_is_a_problem(app: Path) -> None:
    (found,) = problems(app / "specs", replace(composed(text="[]", app=app), origins={"compose.file": b.a_ref(line=4)}))
    assert (found.code, found.field, found.at.line) == ("E_SOURCE", "spec.compose.file", 4)


def test_a_probe_of_a_service_that_is_not_there_is_a_problem(app: Path) -> None:
    probes = (b.a_running_probe(name="up", container="wbe"), b.a_running_probe(name="ok", container="db"))
    (found,) = problems(app / "specs", composed(*probes, text="services: {web: {}, db: {}}", app=app))
    assert (found.code, found.field) == ("E_REF", "spec.readiness.up")
    assert found.hint is not None
    assert "web" in found.hint
