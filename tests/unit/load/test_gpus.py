"""Say once what each container gets of GPUs, and let one say otherwise."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from reconciler.load.lower import lower
from reconciler.model.desired import SandboxDesired
from reconciler.model.resource import Gpus
from tests.unit.load.bad_specs import documents, host, problems, sandbox

NONE = msgspec.UNSET


def lowered(folder: Path, *, gpu: str = "", whole: str = "") -> SandboxDesired:
    """Lower a sandbox with a container `main` that says `gpu`, in a sandbox that says `whole`."""
    own = f"\n      gpu: {gpu}" if gpu else ""
    rest = f"  gpu: {whole}\n" if whole else ""
    text = sandbox(container=f"image: a:1{own}", rest=rest)
    return lower(documents(folder, h=host(), s=text)).sandboxes["web"]


@pytest.mark.parametrize(
    ("gpu", "whole", "asked"),
    [
        ("", "", NONE),
        ("{}", "", Gpus(policy="auto")),
        ("{policy: require, count: 2}", "", Gpus(count=2)),
        ('{cuda: "12.9"}', "", Gpus(policy="auto", cuda="12.9")),
        ("", "{policy: require}", Gpus()),
        ("{count: 1}", "{policy: require, count: 2}", Gpus(count=1, policy="auto")),
        ('{policy: "off"}', "{policy: require}", NONE),
        ("", '{policy: "off", count: 1}', NONE),
        ("{policy: require}", '{policy: "off"}', Gpus()),
    ],
)
def test_a_container_gets_what_it_says_itself_as_a_whole_or_else_the_sandboxs(
    gpu: str, whole: str, asked: Gpus | msgspec.UnsetType, tmp_path: Path
) -> None:
    (container,) = lowered(tmp_path, gpu=gpu, whole=whole).containers
    assert container.gpu == asked


def test_off_means_what_saying_nothing_means(tmp_path: Path) -> None:
    assert lowered(tmp_path, whole='{policy: "off"}').intent == lowered(tmp_path).intent
    assert lowered(tmp_path, whole="{}").intent != lowered(tmp_path).intent


@pytest.mark.parametrize(("gpu", "line"), [("", 9), ("{count: 1}", 9)])
def test_a_difference_points_at_where_gpus_were_asked_for(gpu: str, line: int, tmp_path: Path) -> None:
    assert lowered(tmp_path, gpu=gpu, whole="{count: 2}").origins["containers.main.gpu"].line == line


def test_a_compose_file_asks_by_itself(tmp_path: Path) -> None:
    text = sandbox(rest="  gpu: {}\n").replace(
        "  containers:\n    main:\n      image: web:1\n", "  compose: {file: compose.yaml}\n"
    )
    (problem,) = problems(tmp_path, h=host(), s=text)
    assert (problem.code, problem.field) == ("E_NOT_SUPPORTED", "spec.gpu")
