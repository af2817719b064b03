"""A sink that another package brings: the worked example of the entry point group `reconciler.sinks`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from reconciler.model.secret import Secret
from reconciler.model.telemetry import Envelope
from reconciler.sink import OtherSink, open_sinks, send
from tests import builders as b
from tests.integration.sinks.conftest import Send
from tests.security.canary import files_below, hatch, sightings
from tests.unit.sink.envelopes import a_provision

PACKAGE = '''
"""Append envelopes to one file: the smallest sink that there can be."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from reconciler.model.telemetry import Envelope
from reconciler.sink import NotDelivered


class Lines:
    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path

    async def deliver(self, envelope: Envelope) -> None:
        if not self._path.parent.is_dir():
            raise NotDelivered(f"{self._path.parent} is no folder")
        if envelope.host == "unwanted":
            raise NotDelivered("this host is not wanted here", permanent=True)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(envelope) + b"\\n")

    async def close(self) -> None:
        pass


def open_sink(name: str, options: Mapping[str, str]) -> Lines:
    return Lines(name, Path(options["path"]))


def break_down(name: str, options: Mapping[str, str]) -> Lines:
    raise RuntimeError(f"cannot log in with {options['token']}")


class Careless(Lines):
    async def deliver(self, envelope: Envelope) -> None:
        raise KeyError(f"Bearer {self._path}")


def open_careless(name: str, options: Mapping[str, str]) -> Lines:
    return Careless(name, options["token"])
'''

ENTRY_POINTS = """\
[reconciler.sinks]
lines = acme_lines:open_sink
broken = acme_lines:break_down
careless = acme_lines:open_careless
absent = acme_lines:no_such_name
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path) -> Iterator[None]:
    """Install the package into a folder of its own, as `pip install --target` does."""
    site = tmp_path / "site"
    info = site / "acme_lines-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "acme_lines.py").write_text(PACKAGE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-lines\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    sys.path.insert(0, str(site))
    yield
    sys.path.remove(str(site))
    sys.modules.pop("acme_lines", None)


async def test_a_brought_sink_gets_what_ours_get(to: Send, tmp_path: Path) -> None:
    there = tmp_path / "elsewhere"
    sink = OtherSink(type="lines", name="archive", options={"path": str(there / "all.jsonl")})
    (said,) = await to(a_provision(1), sinks=[sink])
    assert said == f"sink archive: 1 envelope is kept since 2025-06-01 12:01:00 UTC: {there} is no folder"
    there.mkdir()
    (said,) = await to(a_provision(2, host="unwanted"), a_provision(3), sinks=[sink])
    assert "1 envelope is refused for good" in said
    lines = (there / "all.jsonl").read_text().splitlines()
    assert [msgspec.json.decode(line, type=Envelope) for line in lines] == [a_provision(1), a_provision(3)]


async def test_a_package_that_is_not_installed_yet_misses_nothing(to: Send, tmp_path: Path) -> None:
    (said,) = await to(a_provision(1), sinks=[OtherSink(type="no-such", name="archive")])
    assert said.endswith("no installed package brings a sink of type no-such")
    assert await to(sinks=[OtherSink(type="lines", name="archive", options={"path": str(tmp_path / "all")})]) == ()
    assert "e-0001" in (tmp_path / "all").read_text()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("broken", "sinks of type broken do not open: RuntimeError: cannot log in with (secret)"),
        ("careless", "it failed with KeyError: 'Bearer (secret)'"),
        ("absent", "sinks of type absent do not open: AttributeError: module 'acme_lines' has no attribute"),
    ],
)
async def test_a_sink_that_fails_is_down_and_tells_no_secret(to: Send, tmp_path: Path, kind: str, why: str) -> None:
    token = hatch()
    options = {"token": Secret(token), "path": "x"}
    (said,) = await to(a_provision(1), sinks=[OtherSink(type=kind, name="archive", options=options)])
    assert why in said
    assert sightings({"token": token}, [("said", said.encode()), *files_below(tmp_path)]) == []


class Stubborn:
    """A sink that does not let itself be cancelled."""

    name = "stubborn"

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.took: list[str] = []

    async def deliver(self, envelope: Envelope) -> None:
        while not self.may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.may_end.wait()
        self.took.append(envelope.id)

    async def close(self) -> None:
        await asyncio.Event().wait()


async def test_a_sink_that_does_not_let_itself_be_cancelled_is_left_to_itself(spool: Path) -> None:
    sink = Stubborn()
    began = time.monotonic()
    (said,) = await send([a_provision(1), a_provision(2)], [sink], spool=spool, now=b.T0, limit_s=0.2)
    assert time.monotonic() - began < 3
    assert said.endswith("it did not answer within 0.2 s")
    assert "2 envelopes are kept" in said
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    sink.may_end.set()
    await asyncio.wait(left, timeout=10)
    assert sink.took == ["e-0001", "e-0002"]
    assert await send([], [sink], spool=spool, now=b.T0, limit_s=0.2) == (), "it forgot what it took after all"


async def test_a_sink_that_fails_without_a_guard_tells_only_how(spool: Path) -> None:
    class Rude(Stubborn):
        async def deliver(self, envelope: Envelope) -> None:
            self.took.append(envelope.id)
            raise LookupError("with words that nobody has looked through")

    (said,) = await send([a_provision(1)], [Rude()], spool=spool, now=b.T0)
    assert said.endswith("it failed with LookupError")


def test_two_packages_that_bring_one_type_are_not_chosen_between(tmp_path: Path) -> None:
    info = tmp_path / "site/other_lines-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-lines\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[reconciler.sinks]\nlines = other_lines:open_sink\n")
    (sink,) = open_sinks([OtherSink(type="lines", name="archive")])
    assert "2 installed packages bring" in repr(vars(vars(sink)["_sink"]))


@pytest.mark.parametrize("names", [("a", "a"), ("../a",), (".a",), ("",), ("a/b",)])
def test_names_that_cannot_be_folders_of_their_own_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="name"):
        open_sinks([OtherSink(type="lines", name=name) for name in names])
