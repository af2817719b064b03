from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from reconciler.spec.kinds import KINDS
from reconciler.spec.schema import schemas

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads(schemas()["reconciler.json"])


def _valid(document: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(document))


def test_the_files_in_schemas_are_fresh() -> None:
    for name, content in schemas().items():
        assert (ROOT / "schemas" / name).read_bytes() == content, f"run: reconcile schema ({name})"


def test_there_is_one_for_each_kind_and_each_is_a_schema() -> None:
    assert set(schemas()) == {"reconciler.json", *(f"{kind.lower()}.json" for kind in KINDS)}
    for content in schemas().values():
        jsonschema.Draft202012Validator.check_schema(json.loads(content))


@pytest.mark.parametrize("path", sorted([*ROOT.glob("specs/*.yaml"), *ROOT.glob("profiles/*.yaml")]), ids=str)
def test_what_we_ship_is_valid_and_names_its_schema(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=../schemas/reconciler.json\n")
    for document in YAML(typ="safe", pure=True).load_all(text):
        assert _valid(document)


@pytest.mark.parametrize(
    ("container", "ok"),
    [
        ({"image": "a"}, True),
        ({"env": {"A": "1"}}, True),
        ({"env": {"A": None}}, True),
        ({"resources": {"memory": "512MiB"}}, True),
        ({"resources": {"memory": "${inputs.memory}"}}, True),
        ({"ports": {"web": {"container": "${inputs.port}"}}}, True),
        ({"x-note": 1}, True),
        ({"resources": {"memory": 512}}, False),
        ({"resources": {"memory": "512MB"}}, False),
        ({"privileged": True}, False),
        ({"restart": "sometimes"}, False),
        ({"env": {"1X": "a"}}, False),
        ({"env": ["A=1"]}, False),
        ({"ports": {"web": {"container": 70000}}}, False),
    ],
)
def test_an_editor_learns_what_a_container_may_hold(container: Any, ok: bool) -> None:  # noqa: FBT001 - a table
    document = {
        "apiVersion": "reconciler/v1",
        "kind": "Sandbox",
        "metadata": {"name": "web"},
        "spec": {"host": "h1", "containers": {"main": container}},
    }
    assert _valid(document) == ok
