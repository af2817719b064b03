"""Turn text into YAML events: by ruamel's own parser, or many times faster by its C extension.

Both are one loader, ruamel's; which one spoke shows nowhere. The C extension is only trusted with what it is sure to
take as the other does, and never with telling what is wrong: for all else the caller asks ruamel's own parser.
"""

from __future__ import annotations

import functools
import importlib
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The deepest field of the language is 8 levels down; a JSON Schema of inputs may double that.
MAX_DEPTH: Final = 20
# Where the C extension lets through what the other refuses: tabs, a comment that touches the head of a block, documents
# that are ended twice, and the two below.
_DOUBTFUL: Final = re.compile(
    r"\t"
    r"|[|>][-+0-9]*#"
    r"|^\.\.\."
    # A block whose first line is blank, which may be indented less than the rest.
    r"|[|>][-+0-9]* *(?:#.*)?\n *\n"
    # A quoted key with its value right behind the colon.
    r"|[\"']:\S",
    re.MULTILINE,
)


class Doubt(Exception):
    """Report that a text has to be read by ruamel's own parser."""


def events(text: str) -> Iterator[Any]:
    """Yield the events of ruamel's own parser. Raises its `YAMLError` where the text is no YAML."""
    found: Iterator[Any] = _yaml().parse(text)
    return found


def quick_events(text: str) -> Iterator[Any]:
    """Yield what `events` yields, for text that the C extension surely takes as ruamel's own parser does.

    Raises:
        Doubt: it may not, or has an error to tell; or there is no C extension.
    """
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - 0.15 s, not needed on a cache hit

    parser = c_parser()
    if parser is None or _DOUBTFUL.search(text):
        raise Doubt
    get_event = parser(text).get_event
    try:
        while (event := get_event()) is not None:
            # Where a value stands that was not written, the two do not agree.
            if getattr(event, "value", None) == "" and not event.style:
                raise Doubt
            yield event
    except YAMLError as error:
        raise Doubt from error


@functools.cache
def c_parser() -> Callable[[str], Any] | None:
    """Give the C extension's parser, or None where it is not installed."""
    # Not everywhere there, and without types: this way is typed alike with it and without.
    try:
        found: Callable[[str], Any] = importlib.import_module("_ruamel_yaml").CParser
    except ImportError:
        return None
    return found


@functools.cache
def _yaml() -> Any:
    """Make the parser; its scanner itself refuses deep flow nesting, which it would otherwise look ahead through."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - 0.15 s, not needed on a cache hit
    from ruamel.yaml.scanner import Scanner, ScannerError  # noqa: PLC0415 - same

    class BoundedScanner(Scanner):
        def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803 - ruamel's name
            if self.flow_level >= MAX_DEPTH:
                mark = self.reader.get_mark()
                raise ScannerError(None, None, f"nested too deep: more than {MAX_DEPTH} levels", mark)
            super().fetch_flow_collection_start(TokenClass, to_push)

    yaml = YAML(typ="safe", pure=True, plug_ins=[])
    yaml.Scanner = BoundedScanner
    return yaml
