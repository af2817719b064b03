"""Turn the text of a spec file into node trees, within limits and with every problem it can find.

ruamel's events are used, never its constructors: no tag is ever resolved, nothing is typed here.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

import msgspec

from reconciler.load.events import MAX_DEPTH, Doubt, events, quick_events
from reconciler.load.nodes import UNKNOWN, Entry, ListNode, MapNode, Node
from reconciler.load.overlay import overlay
from reconciler.load.text import checked_text, shown, unreadable_character
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.spec.scalar import Scalar, misreading, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

# One document: a sandbox has about fifty nodes; ten thousand times less than what would take seconds to walk.
MAX_NODES: Final = 50_000
# One value: a config file in `content`; anything larger belongs into a directory or an image.
MAX_SCALAR_CHARS: Final = 256 * 1024
# After this many, a reader of the list has seen enough of one file.
MAX_PROBLEMS: Final = 50

# Whoever reads a repository of specs reads these; the key's id alone says that its secret is near.
_CREDENTIAL: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")
_NEXT_DOCUMENT: Final = re.compile(r"^---(?=[ \t\r\n]|$)", re.MULTILINE)


class ReadFile(msgspec.Struct, frozen=True):
    """Hold what one file said.

    Attributes:
        documents: those that can be relied on: nothing is wrong with how they are written.
        problems: what is wrong with how the others are written.
        trees: every document that could be parsed, in order, for checks alone: what is wrong is left out of it.
        faults: where something is wrong with such a tree. What is found there follows from that.
        is_whole: no document is missing in `trees`.
    """

    documents: tuple[MapNode, ...]
    problems: tuple[Problem, ...] = ()
    trees: tuple[MapNode, ...] = ()
    faults: frozenset[SourceRef] = frozenset()
    is_whole: bool = True


class _Stop(Exception):
    """Leave the document."""


def read(data: bytes, file: str) -> ReadFile:
    """Read every document of one file; `file` is the path as the operator knows it.

    Costs about 0.2 ms for a small document, and 2 ms where ruamel's own parser has to read it. Never raises for bad
    input.
    """
    text = checked_text(data, file)
    if isinstance(text, tuple):
        return ReadFile((), text, is_whole=False)
    documents = read_quickly(text, file)
    return ReadFile(documents, trees=documents) if documents else read_slowly(text, file)


def read_quickly(text: str, file: str) -> tuple[MapNode, ...]:
    """Read a text without any fault by the C extension; give nothing where there is one, or may be one."""
    reader = _Reader(file)
    try:
        reader.stream(quick_events(text))
    except (Doubt, _Stop):
        return ()
    return () if reader.problems else tuple(reader.documents)


def read_slowly(text: str, file: str) -> ReadFile:
    """Read a text by ruamel's own parser, which alone tells what is wrong."""
    reader = _Reader(file)
    reader.read(text)
    problems = reader.problems[:MAX_PROBLEMS]
    if len(reader.problems) > MAX_PROBLEMS:
        message = f"more than {MAX_PROBLEMS} problems are in this file; from here on it was not read"
        at = reader.problems[MAX_PROBLEMS].at
        problems.append(Problem("E_SPEC_PROBLEMS", at, message, hint="correct the others, and validate again"))
    faults, is_whole = frozenset(reader.faults), reader.is_whole
    return ReadFile(tuple(reader.documents), tuple(problems), tuple(reader.trees), faults, is_whole)


class _Reader:
    """Read one file: a document that cannot be parsed does not hide the next one."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.documents: list[MapNode] = []
        self.trees: list[MapNode] = []
        self.problems: list[Problem] = []
        self.faults: set[SourceRef] = set()
        self.is_whole = True
        self.line_offset = 0
        self.empty_documents = 0

    def read(self, text: str) -> None:
        from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415 - 0.15 s, not needed on a cache hit

        start = 0
        while True:
            self.line_offset = text.count("\n", 0, start)
            try:
                self.stream(events(text[start:]))
            except _Stop:
                pass
            except MarkedYAMLError as error:
                self._syntax(error)
            except YAMLError as error:
                self.problem("E_YAML_SYNTAX", SourceRef(self.file, 0, 0), f"not YAML: {shown(str(error))}")
            else:
                break
            self.is_whole = False
            # Go on after the document that failed. A "---" at the margin always begins a document.
            reached = self._offset(text, self.problems[-1].at.line)
            following = _NEXT_DOCUMENT.search(text, max(reached, start + 1))
            if following is None or len(self.problems) > MAX_PROBLEMS:
                break
            start = following.start()
        if not self.documents and not self.problems:
            at = SourceRef(self.file, 1, 1)
            self.problem("E_SPEC_EMPTY_DOC", at, "this file holds no document", "write one, or delete the file")

    def problem(self, code: str, at: SourceRef, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(code, at, message, hint=hint))
        self.faults.add(at)

    def stream(self, events: Iterator[Any]) -> None:
        """Build every document of one parser's events."""
        for event in events:
            name = type(event).__name__
            if name == "DocumentStartEvent":
                if event.version is not None or event.tags:
                    hint = "remove the lines that begin with %"
                    self.problem("E_YAML_DIRECTIVE", self.at(event), "YAML directives are not used here", hint)
                before = len(self.problems)
                node = _Builder(self, events).document()
                self._keep(node, flawless=len(self.problems) == before)

    def _keep(self, node: Node, *, flawless: bool) -> None:
        if isinstance(node, MapNode):
            self.trees.append(node)
            if flawless:
                self.documents.append(node)
        elif node.at in self.faults:
            pass  # it may be anything
        elif isinstance(node, Scalar) and node.plain and not node.text:
            self.empty_documents += 1
        else:
            kind = "a list" if isinstance(node, ListNode) else "a single value"
            message = f"a document is a mapping with apiVersion, kind, metadata and spec; this is {kind}"
            self.problem("E_SPEC_NOT_MAP", node.at, message)

    def _syntax(self, error: Any) -> None:
        mark = error.problem_mark or error.context_mark
        at = SourceRef(self.file, mark.line + 1 + self.line_offset, mark.column + 1)
        what = str(error.problem or error.context or "not YAML")
        hint = None
        if "nested too deep" in what:
            self.problem("E_YAML_DEPTH", at, what)
            return
        if "\\t" in what:
            what, hint = "a tab cannot indent YAML", "indent with spaces"
        elif "end of stream" in what or "stream end" in what:
            what, hint = "the file ends in the middle of a value", "close the bracket or quote, or finish the line"
        elif "',' or '" in what:
            hint = "a bracket opened before this place is not closed, or a comma is missing"
        elif "cannot start any token" in what:
            hint = "quote a value that begins with this character"
        elif "expected the node content" in what:
            what, hint = "a value is wanted here", "quote text that begins with - or {; templates are not rendered here"
        elif "<document start>" in what:
            what, hint = "something follows after the end of the document", "begin another document with a line of ---"
        elif "<block end>" in what:
            what, hint = "this line does not fit the lines above", "indent it as its neighbours are"
        elif "mapping values are not allowed" in what:
            what, hint = "a second `:` on this line", 'quote a value that holds ": "'
        self.problem("E_YAML_SYNTAX", at, what, hint)

    def at(self, event: Any) -> SourceRef:
        mark = event.start_mark
        return SourceRef(self.file, mark.line + 1 + self.line_offset, mark.column + 1)

    @staticmethod
    def _offset(text: str, line: int) -> int:
        offset = 0
        for _ in range(line - 1):
            offset = text.find("\n", offset) + 1
            if offset == 0:
                return len(text)
        return offset


class _Builder:
    """Build one document from events, refusing what the language leaves out of YAML."""

    def __init__(self, reader: _Reader, events: Iterator[Any]) -> None:
        self.reader = reader
        self.events = events
        self.nodes = 0
        self.depth = 0
        # What is merged into these is not known, and so not what they lack.
        self.incomplete: list[MapNode] = []

    def document(self) -> Node:
        node = self._node(next(self.events))
        if self.incomplete and node is self.incomplete[-1]:
            self.reader.faults.add(node.at)
        return node

    def _node(self, event: Any, *, merged: bool = False) -> Node:
        at = self.reader.at(event)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            message = f"this document has more than {MAX_NODES} values"
            self.reader.problem("E_YAML_NODES", at, message, "split it into several documents")
            raise _Stop
        name = type(event).__name__
        anchor = getattr(event, "anchor", None)
        if anchor is not None and not merged:
            mark = "*" if name == "AliasEvent" else "&"
            message = f"anchors and aliases are not used here ({mark}{shown(anchor, 20)})"
            self.reader.problem("E_YAML_ALIAS", at, message, "write the value out, or share it through a Profile")
        if name == "AliasEvent":
            self._enough()
            return Scalar(UNKNOWN, plain=False, at=at)
        if event.tag is not None:
            message = f"YAML tags are not used here ({shown(event.tag, 40)})"
            self.reader.problem("E_YAML_TAG", at, message, "remove the tag; the field decides the type")
        self._enough()
        if name == "ScalarEvent":
            return self._scalar(event, at)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.reader.problem("E_YAML_DEPTH", at, f"nested too deep: more than {MAX_DEPTH} levels")
            raise _Stop
        node = self._map(at) if name == "MappingStartEvent" else self._list(at)
        self.depth -= 1
        return node

    def _scalar(self, event: Any, at: SourceRef) -> Scalar:
        text = event.value
        if len(text) > MAX_SCALAR_CHARS:
            message = f"this value has {len(text)} characters; {MAX_SCALAR_CHARS} are the limit"
            self.reader.problem("E_YAML_SCALAR", at, message)
            return Scalar(UNKNOWN, plain=False, at=at)
        if not text.isascii() or "\0" in text:
            bad = unreadable_character(text)
            if bad is not None:
                self.reader.problem("E_ENCODING", at, f"a value may not hold the character {bad}")
        if _CREDENTIAL.search(text):
            hint = 'keep it in a file, declare that in the Fleet (spec.secrets), and write "${secret:NAME}"'
            self.reader.problem("E_SECRET_LITERAL", at, "this is a private key or an access key, written out", hint)
            return Scalar(UNKNOWN, plain=False, at=at)  # no later message can show it
        return Scalar(text, plain=event.style in (None, ""), at=at)

    def _list(self, at: SourceRef) -> ListNode:
        items = []
        for event in self.events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            items.append(self._node(event))
        return ListNode(tuple(items), at)

    def _map(self, at: SourceRef) -> MapNode:
        entries: dict[str, Entry] = {}
        seen: dict[str, Entry] = {}
        has_merge = False
        for event in self.events:
            if type(event).__name__ == "MappingEndEvent":
                break
            key = self._node(event)
            is_merge = isinstance(key, Scalar) and key.plain and key.text == "<<"
            if is_merge:
                hint = "use a Profile, or `extends` of one"
                self.reader.problem("E_YAML_MERGE", key.at, "YAML merge keys are not used here", hint)
                has_merge = True
            value = self._node(next(self.events), merged=is_merge)
            text = None if is_merge else self._key(key)
            if text is None:
                continue
            if self.incomplete and value is self.incomplete[-1]:
                self.reader.faults.add(key.at)
            same = text if text.isascii() else unicodedata.normalize("NFKC", text)
            if same in seen:
                first = seen[same]
                message = f"the key {shown(text)} is here twice; the first is on line {first.at.line}"
                self.reader.problem("E_YAML_DUPKEY", key.at, message, "keep one of them")
                self.reader.faults.add(first.at)
                # Whatever both hold is checked; of two single values, the first.
                entries[first.key] = Entry(first.key, first.at, overlay(value, first.value))
                continue
            seen[same] = entries[text] = Entry(text, key.at, value)
        node = MapNode(entries, at)
        if has_merge:
            self.incomplete.append(node)
        return node

    def _key(self, key: Node) -> str | None:
        if not isinstance(key, Scalar):
            hint = 'quote text that begins with { or [; templates ("{{ … }}") are not rendered here'
            self.reader.problem("E_YAML_KEY", key.at, "a key must be text, not a list or a mapping", hint)
            return None
        if key.plain:
            reading = misreading(key.text)
            if reading is not None:
                message = f"the key {shown(key.text)} would be read as {reading}; a key is text"
                self.reader.problem("E_YAML_KEY", key.at, message, f"write {quoted(shown(key.text))}")
        return key.text

    def _enough(self) -> None:
        if len(self.reader.problems) > MAX_PROBLEMS:
            raise _Stop
