"""Whatever the bytes, a load ends in documents or in problems, never in another error."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.load import load
from reconciler.load.read import read
from reconciler.model.problem import SpecInvalid
from reconciler.show.problems import github, json_lines, text
from tests.unit.load.bad_specs import FLEET, host, sandbox, write

ROOT = Path(__file__).parents[3]
WHOLE = "---\n".join(
    [
        FLEET,
        host(),
        *(path.read_text() for path in sorted(ROOT.glob("profiles/*.yaml"))),
        (ROOT / "specs" / "sandboxes.yaml").read_text().replace("host: h2", "host: h1"),
        sandbox(),
    ]
)
_MARKS = r"""null ~ no { } [ ] : &a *a !t ' " ${ ${inputs.x} ${secret:x} $${ <<: 0 1e9 [] {} 22:22""".split(" ")  # noqa: SIM905 - reads better
_SPACED = ["- ", "? ", "|\n", "\n", "  ", "\0", "\u202e", '"\\e"', "x-a: ", "\t", "---\n"]
PIECES = st.sampled_from([*_MARKS, *_SPACED])


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_any_bytes_can_be_read(data: bytes) -> None:
    read(data, "any.yaml")


@given(st.lists(PIECES, max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_soup_of_yaml_can_be_read(pieces: list[str]) -> None:
    read("".join(pieces).encode(), "soup.yaml")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_fleet_is_refused_in_words(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(WHOLE)))
    length = data.draw(st.sampled_from([0, 1, 4, 20]))
    damaged = WHOLE[:start] + data.draw(PIECES) + WHOLE[start + length :]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), whole=damaged)
        with contextlib.suppress(SpecInvalid):
            try:
                load(folder, cache=False)
            except SpecInvalid as refused:
                found = refused.problems
                assert found
                words = text(found) + json_lines(found) + github(found)
                assert words.replace("\n", "").isprintable()
                raise
