"""Keep the pages true: links lead somewhere, generated parts are fresh, and closed lists are complete."""

import enum
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from reconciler.cli import exits
from reconciler.host.way.doctor import CHECKS
from reconciler.model.plan import Bucket, Verb
from reconciler.model.status import ConditionType, Health, Reason, Sync
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, links


def _first_cells(page: str) -> set[str]:
    """Give what stands in the first column of a page's tables, word by word."""
    rows = re.findall(r"^\| ([^|]+) \|", (DOCS / page).read_text(), re.MULTILINE)
    return {word.strip("` ") for row in rows for word in row.split(",")}


def _source(*folders: str) -> str:
    files = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".sh"})
    return "\n".join(path.read_text() for path in sorted(files))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """Follow each relative link to a file, and its `#part` to a heading."""
    for target in links(page):
        path, _, part = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not part or part in anchors(there), target


def test_generated_parts_are_fresh() -> None:
    """Have the generator compare the pages with the code."""
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_generator_refuses_a_flag_that_it_does_not_know() -> None:
    """Mistype `--check`: a gate must not turn into a write, nor pass."""
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--chekc"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "unrecognized arguments: --chekc" in done.stderr


def test_everything_that_this_version_refuses_is_listed() -> None:
    """Compare what the loader refuses as not there yet with the list."""
    refused = set(re.findall(r"\"(\w+)\",?\)", (ROOT / "reconciler/load/notyet.py").read_text()))
    page = (DOCS / "reference/sandbox.md").read_text()
    part = page.partition("### Not in this version")[2].partition("\n## ")[0]
    assert {"gpu", "requireSignedCommits", "dropAt"} <= refused
    assert [word for word in sorted(refused - {"kind", "path", "E_NOT_SUPPORTED"}) if word not in part] == []


def test_every_error_code_is_explained() -> None:
    """Compare the codes of the source with the page, both ways."""
    used = set(re.findall(r"\bE_[A-Z_]*[A-Z]\b", _source("reconciler")))
    assert {cell for cell in _first_cells("reference/errors.md") if cell.startswith("E_")} == used


def test_every_reason_for_holding_back_is_explained() -> None:
    """Compare the reasons that the planner gives with the page."""
    given = set(re.findall(r"Trouble\(\s*\"(\w+)\"", _source("reconciler/plan")))
    assert given - _first_cells("reference/plan.md") == set()


@pytest.mark.parametrize("words", [Bucket, Verb])
def test_every_word_of_a_plan_is_explained(words: type[enum.StrEnum]) -> None:
    """Compare the classes and verbs with the page."""
    text = (DOCS / "reference/plan.md").read_text()
    assert [word for word in words if f"`{word}`" not in text and f"| {word} |" not in text] == []


@pytest.mark.parametrize("words", [ConditionType, Reason, Sync, Health])
def test_every_word_of_a_status_is_explained(words: object) -> None:
    """Compare the closed lists of the status files with the page."""
    assert set(get_args(words)) - _first_cells("reference/status-files.md") == set()


def test_every_check_of_doctor_is_listed() -> None:
    """Compare the checks with the page."""
    assert set(CHECKS) - _first_cells("how-to/connect-a-host.md") == set()


def test_every_exit_status_is_listed() -> None:
    """Compare the exit statuses with the page."""
    known = {str(value) for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert known - _first_cells("reference/command-line.md") == set()


def test_lines_are_short_enough_to_read() -> None:
    """Hold prose within 120 columns; tables, and what is generated, may be longer."""
    long = [
        f"{page.relative_to(DOCS)}:{number}"
        for page in PAGES
        for number, line in enumerate(page.read_text().splitlines(), 1)
        if len(line) > 120 and not line.startswith("|")
    ]
    assert long == []
