"""Search lines for an operator's pattern, in a time that grows with the text and never faster.

Patterns are RE2's, not Python's: an engine that backtracks can be held up for years by a few characters, and Python's
can then be ended by nothing but `kill -9`.
"""

from __future__ import annotations

from collections.abc import Callable

MEMORY_MAX_BYTES = 256 * 1024
"""For the compiled form of one pattern: it bounds how many states a line can be tried against at once."""


class PatternRefused(ValueError):
    """Report that a text is no pattern, in the engine's words."""


def compile_pattern(text: str) -> Callable[[str], bool]:
    """Give a function that tells whether a line holds the pattern anywhere.

    The function lets other threads run while it searches.

    Raises:
        PatternRefused: it is no pattern that RE2 knows, or one that takes too much memory.
    """
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415  # it has no stubs, and takes 0.04 s to import

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MEMORY_MAX_BYTES
    try:
        compiled = re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else b""
        raise PatternRefused(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from None
    except UnicodeEncodeError:
        raise PatternRefused("it holds half a character") from None
    return lambda line: compiled.search(line) is not None
