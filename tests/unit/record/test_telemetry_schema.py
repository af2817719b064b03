"""The schemas of the telemetry: what is really encoded fits them, and what is wrong does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from reconciler.cli import exits
from reconciler.cli.schema import schema as schema_command
from reconciler.model.snapshot import Disks, DockerDisk, Gpu, Pressure, SandboxUse
from reconciler.model.stale import Found, SandboxInventory, StaleCandidate
from reconciler.model.telemetry import TELEMETRY_SCHEMA, Envelope, IntrospectionReport
from reconciler.record.meanings import meanings_of, nouns_in, summary_of
from reconciler.record.schema import schemas
from tests import builders as b

SCHEMAS: dict[str, Any] = {name: json.loads(raw) for name, raw in schemas().items() if name.startswith("telemetry-")}

FULL = b.a_snapshot(
    pressure_cpu=Pressure(some_avg10_percent=1.5, full_avg10_percent=None),
    sandboxes={"0" * 64: SandboxUse(cpu_usage_ns=7, memory_current_bytes=None, network_bytes=9)},
    gpus=(
        Gpu(
            index=0,
            name="A100",
            memory_total_bytes=1 << 36,
            memory_used_bytes=None,
            utilisation_percent=12.0,
            driver="550.54",
            cuda=None,
        ),
    ),
    docker_disk=DockerDisk(images_bytes=1, containers_bytes=2, volumes_bytes=3, build_cache_bytes=4),
)
BARE = b.a_snapshot(
    cpu_percent=None,
    disks=Disks(root=None, base_dir=None, docker_root=None),
    containers_running=None,
    missing={"cpu_percent": "a rate needs two looks, and there was one"},
)
FOUND = Found(object="sandbox/old", owner="ours", state="running", age_s=90.0)
INVENTORY = SandboxInventory(host="h1", collected_at=b.T0, found=(FOUND,), unread=("/tmp/sandboxer",))
STALE = StaleCandidate(
    host="h1", found=FOUND, kind="orphan", suggestion="inspect", reason="no spec wants it", evidence={"uid": "0a1b2c3d"}
)
REBOOTED = b.a_delta(change=None, missing={"change": "the host was rebooted in between"}, also=("sandbox/web-2",))
REPORT = IntrospectionReport(host="h1", collected_at=b.T0, snapshot=FULL, inventory=INVENTORY, stale=(STALE,))
PROVISION = Envelope(
    id="e-1",
    event="provision",
    host="h1",
    sandbox_id="lab/web-1",
    profile_id=None,
    collected_at=b.T0,
    delta=b.a_delta(),
)
LOOK = Envelope(
    id="e-2",
    event="introspection",
    host="h1",
    sandbox_id=None,
    profile_id=None,
    collected_at=b.T0,
    report=REPORT,
)
REAL = [
    ("telemetry-host-snapshot.json", FULL),
    ("telemetry-host-snapshot.json", BARE),
    ("telemetry-sandbox-inventory.json", INVENTORY),
    ("telemetry-stale-candidate.json", STALE),
    ("telemetry-provision-delta.json", b.a_delta()),
    ("telemetry-provision-delta.json", REBOOTED),
    ("telemetry-introspection-report.json", REPORT),
    ("telemetry-envelope.json", PROVISION),
    ("telemetry-envelope.json", LOOK),
]


def _fits(name: str, document: Any) -> bool:
    checker = jsonschema.Draft202012Validator(SCHEMAS[name])
    return bool(checker.is_valid(document))


def _encoded(noun: msgspec.Struct) -> Any:
    return json.loads(msgspec.json.encode(noun))


def _places_in(document: Any) -> list[tuple[dict[str, Any], str]]:
    """Give every field of an encoded noun, wherever it is: the mapping that holds it, and its name."""
    found: list[tuple[dict[str, Any], str]] = []
    match document:
        case dict():
            found += [(document, key) for key in document]
            found += [one for value in document.values() for one in _places_in(value)]
        case list():
            found += [one for value in document for one in _places_in(value)]
    return found


def test_there_is_a_schema_for_each_noun_and_each_is_one() -> None:
    assert sorted(SCHEMAS) == sorted({name for name, _ in REAL})
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("name", "noun"), REAL)
def test_what_is_encoded_fits_its_schema(name: str, noun: msgspec.Struct) -> None:
    jsonschema.validate(_encoded(noun), SCHEMAS[name], jsonschema.Draft202012Validator)


@pytest.mark.parametrize(("name", "noun"), REAL)
def test_a_value_of_another_type_is_refused_wherever_it_stands(name: str, noun: msgspec.Struct) -> None:
    count = len(_places_in(_encoded(noun)))
    assert count > 0
    for at in range(count):
        wrong = _encoded(noun)
        holder, key = _places_in(wrong)[at]
        # No field may be true or false, so that this is wrong everywhere.
        holder[key] = True
        assert not _fits(name, wrong), key


@pytest.mark.parametrize(("name", "noun"), REAL)
def test_a_field_that_a_later_version_adds_does_no_harm(name: str, noun: msgspec.Struct) -> None:
    assert _fits(name, {**_encoded(noun), "added_later": 1})


def test_an_envelope_of_a_version_that_is_not_known_is_refused() -> None:
    told = _encoded(PROVISION)
    assert told["schema_version"] == TELEMETRY_SCHEMA
    assert not _fits("telemetry-envelope.json", {**told, "schema_version": "reconciler-telemetry/2"})
    del told["schema_version"]
    assert not _fits("telemetry-envelope.json", told)


def test_a_stale_one_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schema_command(folder=tmp_path) == exits.FINE
    assert schema_command(folder=tmp_path, check=True) == exits.FINE
    capsys.readouterr()
    stale = tmp_path / "telemetry-envelope.json"
    stale.write_bytes(stale.read_bytes().replace(b'"integer"', b'"string"', 1))
    assert schema_command(folder=tmp_path, check=True) == exits.ERROR
    assert "telemetry-envelope.json is stale" in capsys.readouterr().err


def _fields(name: str, noun: str) -> Any:
    return SCHEMAS[name]["$defs"][noun]["properties"]


def test_a_description_is_the_docstrings_and_ends_with_the_unit() -> None:
    snapshot = _fields("telemetry-host-snapshot.json", "HostSnapshot")
    assert snapshot["clock_epoch_s"]["description"] == (
        "The host's own clock, for telling its skew. Unit: seconds since 1970-01-01 UTC."
    )
    assert snapshot["collected_at"]["format"] == "date-time"
    endings = {"_bytes": "bytes", "_s": "seconds", "_percent": "percent", "_ns": "nanoseconds"}
    for definition in SCHEMAS["telemetry-envelope.json"]["$defs"].values():
        assert "Attributes:" not in definition["description"]
        for field, about in definition["properties"].items():
            unit = next((word for ending, word in endings.items() if field.endswith(ending)), None)
            assert (f"Unit: {unit}" in about.get("description", "")) is (unit is not None), field


class Nested(msgspec.Struct):
    """Be inside."""

    width_bytes: int


class Sample(msgspec.Struct):
    """Be read; None of it is real.

    Further words.

    Attributes:
        first: what it is; with a half sentence, and None
            on two lines.
        second, third: for both; fourth: after them.
    """

    first: int
    second: int
    third: tuple[Nested | None, ...]
    fourth: dict[str, Nested]
    fifth_s: float


def test_a_docstring_is_read_once_for_all_fields() -> None:
    assert summary_of(Sample) == "Be read; null of it is real. Further words."
    told = {name: (meaning.text, meaning.unit) for name, meaning in meanings_of(Sample).items()}
    assert told == {
        "first": ("What it is; with a half sentence, and null on two lines.", ""),
        "second": ("For both.", ""),
        "third": ("For both.", ""),
        "fourth": ("After them.", ""),
        "fifth_s": ("", "seconds"),
    }
    assert nouns_in(tuple[Sample, ...]) == (Sample, Nested)
    assert meanings_of(Nested)["width_bytes"].unit == "bytes"


@pytest.mark.parametrize("noun", nouns_in(Envelope), ids=lambda one: one.__name__)
def test_what_a_docstring_says_of_a_field_reaches_it(noun: type[msgspec.Struct]) -> None:
    """A name in `Attributes` that no field has would be lost without a word."""
    entries = (noun.__doc__ or "").partition("Attributes:\n")[2].splitlines()
    said = {line.split(": ")[0].strip() for line in entries if line.startswith(" " * 8) and line[8] != " "}
    assert {name for names in said for name in names.split(", ")} <= {
        name for name, meaning in meanings_of(noun).items() if meaning.text
    }


@pytest.mark.parametrize("noun", nouns_in(Envelope), ids=lambda one: one.__name__)
def test_every_field_is_explained(noun: type[msgspec.Struct]) -> None:
    assert [name for name, meaning in meanings_of(noun).items() if not meaning.text] == []
