"""Read the pages under docs: their code blocks, their links and the headings that links may name."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
_FILE = re.compile(r"# (?P<path>specs/\S+)\n")


@dataclass(frozen=True, kw_only=True)
class Block:
    """Hold one code block. `file` is the spec file that it is the content of, where its first line names one."""

    page: Path
    line: int
    language: str
    text: str
    file: str | None

    @property
    def name(self) -> str:
        """Name it for a test's report, e.g. `tutorial/first-fleet.md:52`."""
        return f"{self.page.relative_to(DOCS)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Give the code blocks of a page in order."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        inside = textwrap.dedent(found["text"])
        file = _FILE.match(inside)
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            text=inside,
            file=file["path"] if file is not None else None,
        )


def links(page: Path) -> list[str]:
    """Give the targets of a page's links to other pages, with their `#part`."""
    prose = _BLOCK.sub("", page.read_text())
    targets = (found["target"] for found in _LINK.finditer(prose))
    return [target for target in targets if "://" not in target]


def anchors(page: Path) -> set[str]:
    """Give what a `#part` may name on a page: its headings, written as code hosts write them."""
    titles = (found["title"].lower() for found in _HEADING.finditer(_BLOCK.sub("", page.read_text())))
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}
