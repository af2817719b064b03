"""Know what git would leave out of a folder: by every `.gitignore` from the top of its checkout down.

Rules that are no part of a checkout (`.git/info/exclude`, a user's own) say nothing: two desks would send two trees.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reconciler.disk.unreadable import TreeUnreadable

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_NAME = ".gitignore"
GIT_NAME = ".git"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what one place says is left out.

    Attributes:
        above: how paths of the tree begin as that place sees them, where it is above the tree.
        below: where it is in the tree; it speaks of what lies there.
    """

    patterns: GitIgnoreSpec
    above: str = ""
    below: str = ""

    def leaves_out(self, path: str, *, is_folder: bool) -> bool | None:
        """Tell whether it leaves a path of the tree out, or None where it says nothing of it."""
        inner = self.above + (path.removeprefix(f"{self.below}/") if self.below else path)
        inner = os.fsencode(inner).decode("utf-8", "replace")
        return self.patterns.check_file(f"{inner}/" if is_folder else inner).include


def is_ignored(path: str, rules: tuple[Rules, ...], *, is_folder: bool) -> bool:
    """Ask the first rules, then the others from the last one on: who says anything decides."""
    for rule in (rules[0], *reversed(rules[1:])):
        said = rule.leaves_out(path, is_folder=is_folder)
        if said is not None:
            return said
    return False


def rules_above(folder: Path) -> tuple[Rules, ...]:
    """Give the rules of the folders that a tree lies in, outermost first, up to the top of its checkout.

    None where it is in no checkout, or is the top of one. One that leaves the tree itself out does not count: whoever
    names a folder wants it.
    """
    folder = folder.resolve()
    within = (folder, *folder.parents)
    top = next((index for index, one in enumerate(within) if (one / GIT_NAME).exists()), 0)
    found: list[Rules] = []
    for one in reversed(within[1 : top + 1]):
        at = one / IGNORE_NAME
        if at.is_file() and not at.is_symlink():
            above = folder.relative_to(one).as_posix()
            rules = Rules(patterns=patterns(read_rules(at), str(at)), above=f"{above}/")
            if not Rules(patterns=rules.patterns).leaves_out(above, is_folder=True):
                found.append(rules)
    return tuple(found)


def patterns(lines: tuple[str, ...], of: str) -> GitIgnoreSpec:
    """Understand lines as git would. Raises `TreeUnreadable`."""
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  # only a sandbox with a tree needs it

    try:
        return GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error) as error:
        raise TreeUnreadable(f"{of} holds a pattern that means nothing: {error}", "see gitignore(5)") from error


def read_rules(path: Path) -> tuple[str, ...]:
    """Give the lines of a `.gitignore`; only a line feed ends one. Raises `TreeUnreadable`."""
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise TreeUnreadable(f"{path} cannot be read: {error.strerror}", "is it yours to read?") from error
    return tuple(line.removesuffix("\r") for line in text.split("\n"))
