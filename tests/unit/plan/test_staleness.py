"""Find a saved plan stale when, and only when, something that it read is another now."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.observed import HostView, ImageAbsent
from reconciler.model.plan import Plan
from reconciler.plan import stale_reads
from tests import builders as b
from tests.unit.plan.deciding import altered, decide, exited, remembered, standing, wanted

ONE = b.a_sandbox(resources=(b.a_directory(), b.a_network(), b.a_container()))
OTHER = b.a_sandbox("other")
PATH = str(ONE.directories[0].path)
DRIFTED = altered(b.a_seen(ONE), user="nobody")
DESIRED = wanted(ONE, OTHER)


def shown(**over: Any) -> HostView:
    return standing(ONE, OTHER, **{"containers": (DRIFTED, b.a_seen(OTHER)), **over})


def planned(view: HostView) -> Plan:
    return decide(DESIRED, view, remembered(ONE, OTHER, hosts={}), pass_id="p-00000002")


SAVED = decide(DESIRED, shown(), remembered(ONE, OTHER, hosts={}))


def stale(view: HostView, *, specs: str = DESIRED.digest) -> tuple[str, ...]:
    return stale_reads(SAVED, planned(view).basis, specs=specs)


def test_it_stands_while_nothing_changes() -> None:
    assert stale(shown()) == ()


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "its container stopped": ({"containers": (exited(DRIFTED), b.a_seen(OTHER))}, "containers of web-1"),
    "its container is another": (
        {"containers": (replace(DRIFTED, full_id=b.full_id("new")), b.a_seen(OTHER))},
        "containers of web-1",
    ),
    "its limits": ({"containers": (altered(DRIFTED, pids=5), b.a_seen(OTHER))}, "containers of web-1"),
    "its marker": (
        {"markers": (b.a_seen_marker(b.a_marker(ONE, generation=9)), b.a_seen_marker(b.a_marker(OTHER)))},
        "marker of web-1",
    ),
    "its directory": ({"paths": {PATH: b.a_seen_path(PATH, mode="0700")}}, f"path {PATH}"),
    "its directory went": ({"paths": {PATH: b.an_absent_path(PATH)}}, f"path {PATH}"),
    "its network": ({"networks": (b.a_seen_network(ONE, id=b.full_id("net 2")),)}, "network sbx-lab.web-1.net"),
    "its image": ({"images": {b.an_image().id: b.an_image(), b.IMAGE: ImageAbsent()}}, f"image {b.IMAGE}"),
    "the machine": ({"identity": b.an_identity(host_id="f" * 32)}, "another machine"),
    "there is nothing to do": ({"containers": (b.a_seen(ONE), b.a_seen(OTHER))}, "none of these actions"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_names_what_changed(change: str) -> None:
    over, words = CHANGES[change]
    found = stale(shown(**over))
    assert found
    assert any(words in line and line.startswith("h1: ") for line in found)


def test_the_specs_changed() -> None:
    assert stale(shown(), specs="1" * 64) == ("the specs have changed",)


@pytest.mark.parametrize(
    "over",
    [
        {"containers": (DRIFTED, exited(b.a_seen(OTHER)))},
        {"containers": (DRIFTED,)},
        {"neighbours": (b.a_neighbour(),)},
        {"host_clock_epoch_s": 9e9},
        {"markers": (b.a_seen_marker(b.a_marker(ONE)),)},
    ],
    ids=["another sandbox stopped", "another went", "a stranger came", "time passed", "another's marker went"],
)
def test_what_it_did_not_read_does_not_matter(over: dict[str, Any]) -> None:
    assert stale(shown(**over)) == ()
