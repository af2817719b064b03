from __future__ import annotations

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from ruamel.yaml import YAML

from reconciler.show.yaml_text import yaml_text

LEAVES = some.none() | some.booleans() | some.integers(-(2**53), 2**53) | some.text(max_size=20)
VALUES = some.recursive(
    LEAVES, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4)
)


@given(VALUES)
def test_another_reader_gets_the_same_value(value: Any) -> None:
    assert YAML(typ="safe", pure=True).load(io.StringIO(yaml_text(value))) == value


def test_it_reads_like_yaml() -> None:
    document = {"fleet": "lab", "sandboxes": [{"name": "web-1", "ready": True, "conditions": []}], "note": "yes"}
    assert yaml_text(document) == (
        'fleet: lab\nsandboxes:\n  - name: web-1\n    ready: true\n    conditions: []\nnote: "yes"\n'
    )
