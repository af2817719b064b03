from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.model.delta import OwnUse
from reconciler.sink.exposition import escaped, render
from reconciler.sink.figures import Figures
from tests import builders as b
from tests.unit.sink.envelopes import a_candidate, a_look, a_provision
from tests.unit.sink.test_figures import folded

OWN = OwnUse(
    at=b.T0, containers=2, memory_working_set_bytes=52428800, cpu_usage_ns=1_500_000_000, network_bytes=0, layer_bytes=7
)
GOLDEN = Path(__file__).with_name("golden.prom")


def some() -> Figures:
    awkward = 'gpu "big"\\new\nline'
    change = {"memory_available_bytes": -536870912.5, "disk_used_bytes": 1048576.0}
    return folded(
        a_provision(1, profile_id=awkward, delta=b.a_delta(change=change, own=OWN)),
        a_provision(2, sandbox_id="lab/api", profile_id=None, host="h2", delta=b.a_delta(change=None)),
        a_look(3, report={"stale": (a_candidate("orphan"), a_candidate("idle"))}),
    )


def test_the_text_is_as_it_was_agreed_upon() -> None:
    assert render(some(), fleet="lab") == GOLDEN.read_text()


def test_the_same_figures_give_the_same_bytes() -> None:
    assert render(some(), fleet="lab") == render(some(), fleet="lab")


def test_nothing_known_gives_nothing() -> None:
    assert render(Figures(), fleet="lab") == ""


def test_a_gauge_without_a_sample_is_left_out() -> None:
    text = render(folded(a_look(3, report={"snapshot": None})), fleet="lab")
    assert "reconciler_host_load1" not in text
    assert "reconciler_sandbox" not in text
    assert "reconciler_host_look_timestamp_seconds" in text


def test_what_of_its_own_use_is_not_known_has_no_sample() -> None:
    own = replace(OWN, cpu_usage_ns=None, layer_bytes=None)
    text = render(folded(a_provision(1, delta=b.a_delta(own=own))), fleet="lab")
    told = re.findall(r"^reconciler_sandbox_provision_own_(\w+)", text, re.MULTILINE)
    assert told == ["memory_working_set_bytes", "network_bytes"]
    assert "_own_" not in render(folded(a_provision(1)), fleet="lab")


@pytest.mark.parametrize(
    ("text", "written"),
    [("plain", "plain"), ('a"b', 'a\\"b'), ("a\\b", "a\\\\b"), ("a\nb", "a\\nb"), ('\\"\n', '\\\\\\"\\n')],
)
def test_labels_are_escaped(text: str, written: str) -> None:
    assert escaped(text) == written
