from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from reconciler.disk.whole import READ_LIMIT_BYTES
from reconciler.sink.spool import (
    BYTES_MAX,
    ENVELOPES_MAX,
    LINE_BYTES_MAX,
    REFUSED_MAX,
    Queue,
    Spool,
    opened_spool,
)
from tests import builders as b
from tests.unit.sink.envelopes import a_provision


def lines(*numbers: int, more: str = "") -> list[bytes]:
    return [msgspec.json.encode(a_provision(number, profile_id=f"service{more}")) for number in numbers]


@contextmanager
def held(root: Path) -> Iterator[Queue]:
    with opened_spool(root, "hub") as spool, spool.alone() as is_ours:
        assert is_ours
        yield spool.queue(now=b.T0)


def add(root: Path, *numbers: int, more: str = "") -> None:
    with opened_spool(root, "hub") as spool:
        spool.add(lines(*numbers, more=more))


def drain(queue: Queue, limit: int = 1 << 30) -> list[str]:
    seen: list[str] = []
    while len(seen) < limit and (line := queue.head()) is not None:
        seen.append(json.loads(line)["id"])
        queue.forget()
    return seen


def ids(*numbers: int) -> list[str]:
    return [f"e-{number:04d}" for number in numbers]


def test_what_is_added_comes_out_in_order(tmp_path: Path) -> None:
    add(tmp_path / "spool", 1, 2)
    add(tmp_path / "spool", 3)
    with held(tmp_path / "spool") as queue:
        assert queue.envelopes == 3
        assert drain(queue) == ids(1, 2, 3)
    assert os.listdir(tmp_path / "spool/hub") == []


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    add(tmp_path / "spool", 1, 2)
    with held(tmp_path / "spool") as queue:
        drain(queue, 1)
    for path in (tmp_path / "spool").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_the_next_process_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    add(tmp_path / "spool", 1, 2, 3)
    add(tmp_path / "spool", 4)
    with held(tmp_path / "spool") as queue:
        assert drain(queue, 2) == ids(1, 2)
    with opened_spool(tmp_path / "spool", "hub") as spool:
        kept = spool.kept()
    assert (kept.envelopes, kept.since) == (2, b.later(minutes=3))
    with held(tmp_path / "spool") as queue:
        assert drain(queue) == ids(3, 4)


@pytest.mark.parametrize("text", ["", '{"part":', "[]", "\0" * 256, '{"part":"other","done":2}'])
def test_without_its_mark_envelopes_come_again_and_none_is_lost(tmp_path: Path, text: str) -> None:
    add(tmp_path / "spool", 1, 2, 3)
    with held(tmp_path / "spool") as queue:
        drain(queue, 1)
    (tmp_path / "spool/hub/.mark").write_text(text)
    with held(tmp_path / "spool") as queue:
        assert drain(queue) == ids(1, 2, 3)


def test_several_come_out_at_once_and_are_forgotten_at_once(tmp_path: Path) -> None:
    add(tmp_path, 1, 2, 3)
    add(tmp_path, 4)
    with held(tmp_path) as queue:
        assert queue.heads(2) == lines(1, 2)
        queue.forget(2)
        assert queue.heads(9) == lines(3), "of one file at a time"
        with pytest.raises(RuntimeError):
            queue.forget(2)
    with held(tmp_path) as queue:
        assert drain(queue) == ids(3, 4)
        assert queue.heads(9) == []


def test_what_is_added_meanwhile_is_seen(tmp_path: Path) -> None:
    add(tmp_path / "spool", 1)
    with held(tmp_path / "spool") as queue:
        assert queue.head() is not None
        add(tmp_path / "spool", 2)
        assert drain(queue) == ids(1, 2)


def test_two_who_add_at_once_take_nothing_from_each_other(tmp_path: Path) -> None:
    with opened_spool(tmp_path / "spool", "hub") as one, opened_spool(tmp_path / "spool", "hub") as other:
        for spool, number in ((one, 1), (other, 2)):
            spool.add(lines(number))
            first = spool.parts()[-1]
            # As if both had counted before either wrote.
            os.rename(tmp_path / "spool/hub" / first, tmp_path / "spool/hub" / f"{1:012d}{first[12:]}")
    with held(tmp_path / "spool") as queue:
        assert sorted(drain(queue)) == ids(1, 2)


def test_one_at_a_time_may_take_out(tmp_path: Path) -> None:
    with opened_spool(tmp_path, "hub") as one, opened_spool(tmp_path, "hub") as other:
        with one.alone() as first, other.alone() as second:
            assert (first, second) == (True, False)
        with other.alone() as second:
            assert second


def test_a_large_batch_is_cut_into_files_that_can_be_read(tmp_path: Path) -> None:
    add(tmp_path / "spool", *range(2500))
    add(tmp_path / "spool", *range(3000, 3007), more="x" * 400_000)
    sizes = [path.stat().st_size for path in (tmp_path / "spool/hub").iterdir()]
    assert len(sizes) > 4
    assert max(sizes) < 2 << 20
    with held(tmp_path / "spool") as queue:
        assert drain(queue) == ids(*range(2500), *range(3000, 3007))


def test_the_newest_are_kept_and_what_is_dropped_is_counted(tmp_path: Path) -> None:
    small = [b'{"id":"e-%05d"}' % number for number in range(ENVELOPES_MAX + 30)]
    with opened_spool(tmp_path, "hub") as spool:
        spool.add(small)
    with held(tmp_path) as queue:
        drain(queue, 10)
        queue.trim()
        assert (queue.envelopes, queue.dropped) == (ENVELOPES_MAX, 20)
        assert queue.head() == small[30]
    with held(tmp_path) as queue:
        assert queue.dropped == 20, "it is said until all was delivered"
        assert len(drain(queue)) == ENVELOPES_MAX
    add(tmp_path, 1)
    with held(tmp_path) as queue:
        assert queue.dropped == 0


def test_no_more_bytes_than_agreed_are_kept(tmp_path: Path) -> None:
    with opened_spool(tmp_path, "hub") as spool:
        spool.add([b'{"id":"e-%04d","more":"%s"}' % (number, b"x" * (LINE_BYTES_MAX - 40)) for number in range(18)])
    with held(tmp_path) as queue:
        queue.trim()
        assert (queue.envelopes, queue.dropped) == (16, 2)
        assert drain(queue, 1) == ids(2)
    assert sum(path.stat().st_size for path in (tmp_path / "hub").glob("*.jsonl")) <= BYTES_MAX


def test_a_damaged_file_costs_nobody_else_a_place(tmp_path: Path) -> None:
    with opened_spool(tmp_path, "hub") as spool:
        spool.add([b"%d" % number for number in range(1000)])
        first = tmp_path / "hub" / spool.parts()[0]
        spool.add([b'{"id":"e-%05d"}' % number for number in range(ENVELOPES_MAX)])
    first.write_bytes(b"x" * (READ_LIMIT_BYTES + 1))
    with held(tmp_path) as queue:
        queue.trim()
        assert (queue.damaged, queue.dropped, queue.envelopes) == (1000, 0, ENVELOPES_MAX)


def test_what_a_killed_process_left_half_written_is_swept_up_once_it_is_old(tmp_path: Path) -> None:
    add(tmp_path, 1, 2)
    for name, age_s in (("old", 3700), ("young", 60)):
        path = tmp_path / "hub" / f".new-{name}"
        path.write_text("half")
        os.utime(path, (b.T0.timestamp() - age_s,) * 2)
    with held(tmp_path):
        assert sorted(path.name for path in (tmp_path / "hub").glob(".new-*")) == [".new-young"]


def test_what_is_refused_is_moved_aside_with_the_reason(tmp_path: Path) -> None:
    add(tmp_path, 1, 2)
    with held(tmp_path) as queue:
        assert queue.refuse("answered 400 Bad Request", now=b.T0) == 0
        assert drain(queue) == ids(2)
    (path,) = (tmp_path / "hub/refused").iterdir()
    told = json.loads(path.read_text())
    assert told["why"] == "answered 400 Bad Request"
    assert told["refused_at"] == "2025-06-01T12:00:00Z"
    assert msgspec.convert(told["envelope"], type=type(a_provision())) == a_provision(1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_damaged_is_refused_as_the_text_it_is(tmp_path: Path) -> None:
    with opened_spool(tmp_path, "hub") as spool:
        spool.add([b'{"id":', b"\xff"])
    with held(tmp_path) as queue:
        queue.refuse("damaged", now=b.T0)
        queue.refuse("damaged", now=b.T0)
    texts = {json.loads(path.read_text())["envelope"] for path in (tmp_path / "hub/refused").iterdir()}
    assert texts == {'{"id":', "\ufffd"}


def test_the_newest_refused_stay(tmp_path: Path) -> None:
    (tmp_path / "hub/refused").mkdir(parents=True)
    for number in range(REFUSED_MAX):
        (tmp_path / f"hub/refused/20250101T000000.000000-{number:012d}-0000.json").write_text("{}")
    add(tmp_path, 1)
    with held(tmp_path) as queue:
        assert queue.refuse("no", now=b.T0) == 1
    names = sorted(path.name for path in (tmp_path / "hub/refused").iterdir())
    assert len(names) == REFUSED_MAX
    assert names[0] == f"20250101T000000.000000-{1:012d}-0000.json"
    assert names[-1].startswith("20250601T120000")


def test_a_file_that_is_none_of_ours_is_moved_aside_and_counted(tmp_path: Path) -> None:
    add(tmp_path, 1, 2)
    add(tmp_path, 3)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    with opened_spool(tmp_path, "hub") as spool:
        name = spool.parts()[0]
    (tmp_path / "hub" / name).unlink()
    (tmp_path / "hub" / name).symlink_to(victim)
    with held(tmp_path) as queue:
        assert drain(queue) == ids(3)
        assert queue.damaged == 2
    assert (tmp_path / "hub/refused" / f"{name}.damaged").is_symlink()
    assert victim.read_text() == "precious"


def test_a_spool_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "spool").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r".+"), opened_spool(tmp_path / "spool", "hub"):
        pass
    assert os.listdir(tmp_path / "elsewhere") == []


def test_nobody_looks_twice_at_what_is_empty(tmp_path: Path) -> None:
    with opened_spool(tmp_path, "hub") as spool:
        spool.add([])
        assert spool.parts() == []
        assert spool.kept().envelopes == 0
        assert isinstance(spool, Spool)
    with held(tmp_path) as queue, pytest.raises(RuntimeError):
        queue.forget()
