"""Keep the page of the host telemetry complete: every noun, every dimension, every schema."""

import json
import re
from pathlib import Path

from reconciler.apply.measure import dimensions
from reconciler.model.snapshot import Pressure
from reconciler.model.telemetry import Envelope
from reconciler.record.meanings import nouns_in
from reconciler.record.schema import schemas
from tests import builders as b
from tests.docs.pages import DOCS, anchors

PAGE: Path = DOCS / "reference/host-telemetry.md"


def test_every_noun_has_a_section_and_a_table() -> None:
    """Compare the page with what an envelope may hold."""
    nouns = {noun.__name__ for noun in nouns_in(Envelope)}
    assert {name.lower() for name in nouns} <= anchors(PAGE)
    assert set(re.findall(r"<!-- generated: struct (\w+) -->", PAGE.read_text())) == nouns


def test_every_dimension_of_a_delta_is_explained() -> None:
    """Compare the table of dimensions with what is measured of a host that tells everything."""
    pressure = Pressure(some_avg10_percent=1.0, full_avg10_percent=1.0)
    full = b.a_snapshot(pressure_cpu=pressure, pressure_memory=pressure, pressure_io=pressure)
    table = PAGE.read_text().partition("| dimension |")[2].partition("\n\n")[0]
    first = [row.split(" | ")[0] for row in table.splitlines()]
    assert {name for cell in first for name in re.findall(r"`(\w+)`", cell)} == set(dimensions(full))


def test_every_schema_of_the_telemetry_is_named_beside_its_noun() -> None:
    """Compare the list of nouns with the schemas."""
    rows = re.findall(r"^\| \[(\w+)\]\(#\w+\) \| `(telemetry-[\w-]+\.json)` \|", PAGE.read_text(), re.MULTILINE)
    written = {
        name: json.loads(raw)["$ref"].removeprefix("#/$defs/")
        for name, raw in schemas().items()
        if name.startswith("telemetry-")
    }
    assert {name: noun for noun, name in rows} == written
