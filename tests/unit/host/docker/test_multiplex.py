"""A container's two streams come apart whole, however their bytes arrive."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ReadFailed
from reconciler.host.docker.multiplex import Chunk, Demultiplexer

frames = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8)


def joined(parts: list[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in parts)


@given(frames, st.integers(min_value=1, max_value=17))
def test_pieces_of_any_size_give_the_same_chunks(parts: list[tuple[int, bytes]], piece: int) -> None:
    data = joined(parts)
    split = Demultiplexer("h1")
    chunks = [chunk for at in range(0, len(data), piece) for chunk in split.feed(data[at : at + piece])]
    split.finish()
    assert chunks == [Chunk("stdout" if stream == 1 else "stderr", text) for stream, text in parts]


@given(frames.filter(bool), st.data())
def test_a_stream_cut_inside_a_frame_is_an_error(parts: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = joined(parts)
    ends = {0}
    for stream, text in parts:
        ends.add(max(ends) + len(joined([(stream, text)])))
    cut = data.draw(st.integers(0, len(whole)).filter(lambda at: at not in ends))
    split = Demultiplexer("h1")
    split.feed(whole[:cut])
    with pytest.raises(ReadFailed):
        split.finish()


def test_bytes_that_are_no_such_stream_are_an_error() -> None:
    with pytest.raises(ReadFailed):
        Demultiplexer("h1").feed(b"plain text of a terminal\r\n")


def test_a_frame_that_claims_gigabytes_is_an_error() -> None:
    with pytest.raises(ReadFailed):
        Demultiplexer("h1").feed(struct.pack(">BxxxL", 1, 4_000_000_000))
