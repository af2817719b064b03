"""Refuse what was typed on a fresh checkout, and leave the folder as it was: above all, without a status folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli import run
from tests.unit.load.bad_specs import FLEET

FULL_ID = "a" * 64


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder that holds a fleet without hosts, and nothing else."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "fleet.yaml").write_text(FLEET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["destroy", "no*such", "--yes"], "no sandbox is named 'no*such'"),
        (["destroy", "nosuch", "--yes"], "no spec, record or host knows a sandbox named 'nosuch'"),
        (["destroy", "nosuch", "--yes", "--json"], "no spec, record or host knows a sandbox named 'nosuch'"),
        (["destroy", "nosuch", "--on", "nowhere", "--yes"], "no host matches"),
        (["destroy", "nosuch", "--exclude", "nosuch", "--yes"], "--exclude leaves nothing"),
        (["destroy", "--all", "--exclude", "nosuch", "--yes"], "no sandbox is named 'nosuch'"),
        (["adopt", FULL_ID, "--yes"], "E_ADOPT"),
        (["adopt", "web", "--yes"], "E_ADOPT"),
        (["apply", "nosuch", "--yes"], "no sandbox is named 'nosuch'"),
        (["apply", "--on", "nosuch", "--yes"], "no host matches"),
        (["apply", "--exclude", "nosuch", "--yes"], "no sandbox is named 'nosuch'"),
        (["apply", "nosuch.plan", "--yes"], "E_PLAN_READ"),
        (["plan", "nosuch"], "no sandbox is named 'nosuch'"),
        (["plan", "--on", "nosuch"], "no host matches"),
        (["plan", "nosuch", "--out", "saved.plan"], "no sandbox is named 'nosuch'"),
        (["status"], "nothing is recorded in status yet"),
        (["status", "nosuch", "--on", "nosuch"], "nothing is recorded in status yet"),
        (["doctor", "nosuch"], "no host is named 'nosuch'"),
        (["inspect", "host", "nosuch"], "no host is named 'nosuch'"),
        (["host", "accept", "nosuch", "--yes"], "no host is named 'nosuch'"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_what_is_refused_leaves_nothing(
    words: list[str], says: str, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(checkout.rglob("*"))
    assert run(words) in (1, 64)
    assert says in capsys.readouterr().err
    assert sorted(checkout.rglob("*")) == before


def test_a_plan_writes_nothing_and_an_apply_does(checkout: Path) -> None:
    before = sorted(checkout.rglob("*"))
    assert run(["plan"]) == 0
    assert sorted(checkout.rglob("*")) == before
    assert run(["apply", "--yes"]) == 0
    assert (checkout / "status" / "fleet.json").exists()
