"""A costly pattern takes its own probe's time, and nobody else's."""

import asyncio
import threading
from collections.abc import Iterator

from reconciler.host.probing import search_lines

COSTLY = "((a?){200}a{200}){4}x"


async def test_lines_are_searched_until_one_holds_the_pattern() -> None:
    read: list[str] = []

    def lines() -> Iterator[str]:
        for line in ("one", "two", "three"):
            read.append(line)
            yield line

    assert await search_lines("^t", lines()) is True
    assert read == ["one", "two"]
    assert await search_lines("^x", ["one", "two"]) is False


async def test_a_line_is_searched_only_so_far() -> None:
    assert await search_lines("end", ["x" * 5000 + "end"]) is False


async def test_a_costly_pattern_is_given_up_and_others_run_meanwhile() -> None:
    """The lines never end: only the bound on the time does end the search."""
    over = threading.Event()

    def lines() -> Iterator[str]:
        while not over.is_set():
            yield "a" * 4096

    searching = asyncio.create_task(search_lines(COSTLY, lines()))
    turns = 0
    try:
        while not searching.done():
            await asyncio.sleep(0.01)
            turns += 1
    finally:
        over.set()
    assert await searching is None
    assert turns > 20
