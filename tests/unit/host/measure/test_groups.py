"""What control groups print becomes counters of single containers, or a reason; never a zero that nobody measured."""

from __future__ import annotations

import pytest

from reconciler.errors import ReadFailed
from reconciler.host.measure.groups import decode_groups
from reconciler.model.snapshot import SandboxUse

ONE, TWO = "1" * 64, "ab" * 32
V1, V2 = f"/sys/fs/cgroup/memory/lab7/{ONE}", f"/sys/fs/cgroup/system.slice/docker-{ONE}.scope"


def printed(*lines: str, uptime: str = "/proc/uptime:12.5 3.0") -> bytes:
    kept = [uptime, *lines] if uptime else list(lines)
    return "\n".join([*kept, f"END {len(kept)}", ""]).encode()


def test_the_working_set_leaves_out_the_file_cache_of_all_below_in_version_1() -> None:
    lines = (
        f"/sys/fs/cgroup/cpuacct/lab7/{ONE}/cpuacct.usage:1234",
        f"{V1}/memory.usage_in_bytes:5000",
        f"{V1}/memory.stat:inactive_file 1",
        f"{V1}/memory.stat:total_inactive_file 2000",
    )
    groups = decode_groups("h1", printed(*lines), container_ids=(ONE, TWO))
    assert groups.uses == {ONE: SandboxUse(cpu_usage_ns=1234, memory_current_bytes=5000, memory_working_set_bytes=3000)}
    assert set(groups.missing) == {TWO, f"{ONE}.network_bytes"}


def test_the_working_set_leaves_out_the_inactive_file_cache_in_version_2() -> None:
    lines = (
        f"{V2}/cpu.stat:usage_usec 2",
        f"{V2}/memory.current:5000",
        f"{V2}/memory.stat:inactive_file 1000",
    )
    use = decode_groups("h1", printed(*lines), container_ids=(ONE,)).uses[ONE]
    assert (use.cpu_usage_ns, use.memory_working_set_bytes) == (2000, 4000)


def test_a_cache_that_was_read_a_moment_later_and_larger_makes_no_negative_working_set() -> None:
    lines = (f"{V1}/memory.usage_in_bytes:5000", f"{V1}/memory.stat:total_inactive_file 6000")
    assert decode_groups("h1", printed(*lines), container_ids=(ONE,)).uses[ONE].memory_working_set_bytes == 0


@pytest.mark.parametrize("stat", [(), (f"{V1}/memory.stat:cache 7",)], ids=["unread", "without-it"])
def test_without_what_the_cache_holds_there_is_no_working_set_and_a_reason(stat: tuple[str, ...]) -> None:
    groups = decode_groups("h1", printed(f"{V1}/memory.usage_in_bytes:5000", *stat), container_ids=(ONE,))
    assert groups.uses[ONE].memory_working_set_bytes is None
    assert groups.uses[ONE].memory_current_bytes == 5000
    assert "no such counter" in groups.missing[f"{ONE}.memory_working_set_bytes"]


@pytest.mark.parametrize("uptime", ["", "/proc/uptime:"], ids=["absent", "empty"])
def test_a_reply_in_which_nothing_was_read_is_an_error_and_not_a_container_that_does_not_run(uptime: str) -> None:
    with pytest.raises(ReadFailed) as caught:
        decode_groups("h1", printed(uptime=uptime), container_ids=(ONE,))
    assert caught.value.code == "E_FACTS_DECODE"


def test_a_counter_that_is_none_is_an_error() -> None:
    with pytest.raises(ReadFailed):
        decode_groups("h1", printed(f"{V1}/memory.usage_in_bytes:much"), container_ids=(ONE,))
