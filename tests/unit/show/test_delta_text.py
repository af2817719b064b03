from __future__ import annotations

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
