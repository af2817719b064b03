from __future__ import annotations

from reconciler.model.delta import OwnUse
from reconciler.show.delta_text import delta_line
from tests import builders as b


def test_a_reboot_says_why_there_is_no_difference() -> None:
    delta = b.a_delta(change=None, missing={"load_1": "h1 rebooted", "cpu_percent": "h1 rebooted"}, also=("web-2",))
    assert delta_line(delta) == "load, CPU % unknown (h1 rebooted); meanwhile: web-2"


def test_many_that_ran_beside_are_counted() -> None:
    also = tuple(f"sandbox/web-{at}" for at in range(9))
    assert delta_line(b.a_delta(also=also)).endswith("; meanwhile: web-0, web-1, web-2 and 6 more")
    assert delta_line(b.a_delta(also=also[:3])).endswith("; meanwhile: web-0, web-1, web-2")


def test_nothing_measured_is_said() -> None:
    assert delta_line(b.a_delta(before=None, after=None, change=None)) == "nothing was measured"


def test_what_a_sandbox_takes_itself_is_said_apart() -> None:
    own = OwnUse(
        at=b.T0,
        containers=1,
        memory_working_set_bytes=200 << 20,
        memory_current_bytes=300 << 20,
        cpu_usage_ns=1_500_000_000,
        layer_bytes=0,
        image_bytes=2 << 20,
    )
    line = delta_line(b.a_delta(own=own, missing={"own.network_bytes": "it has the host's"}, also=("sandbox/web-2",)))
    assert "its network unknown (it has the host's); by itself: memory 200.0 MiB, CPU time 1.50 s" in line
    assert line.endswith("written 0 B, image 2.0 MiB; meanwhile: web-2")


def test_why_it_is_not_known_what_a_sandbox_takes_is_said_once() -> None:
    own = OwnUse(at=b.T0, containers=1, layer_bytes=0)
    dark = dict.fromkeys(("own.memory_working_set_bytes", "own.memory_current_bytes", "own.cpu_usage_ns"), "it went")
    assert "its memory, its CPU time unknown (it went); by itself: written 0 B" in delta_line(
        b.a_delta(own=own, missing=dark)
    )
    assert "its own use unknown (it went)" in delta_line(b.a_delta(missing={"own": "it went"}))
