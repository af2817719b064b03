from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from reconciler.load import load, load_as
from reconciler.load.cache import cache_path
from reconciler.load.documents import Documents
from reconciler.model.problem import SpecInvalid
from tests.unit.load.bad_specs import FLEET, host, sandbox, write


class Names(msgspec.Struct):
    sandboxes: list[str]
    calls: int


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "specs"
    folder.mkdir()
    write(folder, fleet=FLEET, h=host(), s=sandbox())
    return folder


def _file(specs: Path) -> Path:
    path = cache_path(specs)
    assert path is not None
    return path


def _lowering() -> tuple[list[int], object]:
    calls: list[int] = []

    def lower(documents: Documents) -> Names:
        calls.append(1)
        return Names(sorted(documents.sandboxes), len(calls))

    return calls, lower


def test_a_second_load_gives_the_same_documents(specs: Path) -> None:
    first, second = load(specs), load(specs)
    assert first == second
    assert first.sandboxes["web"].origins == second.sandboxes["web"].origins
    assert second == load(specs, cache=False)


def test_the_file_is_private(specs: Path) -> None:
    load(specs)
    assert stat.S_IMODE(_file(specs).stat().st_mode) == 0o600
    assert stat.S_IMODE(_file(specs).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\x92\xa1x\x80", b"\x92\xa1\xe6\x80", b"\xff" * 100])
def test_a_damaged_cache_is_as_if_it_were_not_there(specs: Path, damage: bytes) -> None:
    first = load(specs)
    _file(specs).write_bytes(damage)
    assert load(specs) == first


def test_a_cut_cache_is_as_if_it_were_not_there(specs: Path) -> None:
    first = load(specs)
    whole = _file(specs).read_bytes()
    for length in range(0, len(whole), len(whole) // 12):
        _file(specs).write_bytes(whole[:length])
        assert load(specs) == first


def test_a_cache_that_others_may_write_is_not_believed(specs: Path) -> None:
    calls, lower = _lowering()
    load_as(Names, lower, specs)  # type: ignore[arg-type]  # a local function, typed there
    _file(specs).chmod(0o666)
    load_as(Names, lower, specs)  # type: ignore[arg-type]  # same
    assert len(calls) == 2


def test_an_outcome_is_remembered_until_anything_changes(specs: Path) -> None:
    calls, lower = _lowering()
    for _ in range(3):
        assert load_as(Names, lower, specs).sandboxes == ["web"]  # type: ignore[arg-type]  # same
    assert len(calls) == 1
    write(specs, s=sandbox("other"))
    assert load_as(Names, lower, specs).sandboxes == ["other"]  # type: ignore[arg-type]  # same
    (specs / "s.yaml").rename(specs / "t.yaml")
    load_as(Names, lower, specs)  # type: ignore[arg-type]  # same
    assert len(calls) == 3


def test_a_refusal_is_never_remembered_as_an_outcome(specs: Path) -> None:
    _, lower = _lowering()
    load_as(Names, lower, specs)  # type: ignore[arg-type]  # same
    write(specs, s=sandbox(on="nowhere"))
    for _ in range(2):
        with pytest.raises(SpecInvalid):
            load_as(Names, lower, specs)  # type: ignore[arg-type]  # same


def test_it_holds_only_what_the_last_load_used(specs: Path) -> None:
    for number in range(20):
        write(specs, s=sandbox(f"web{number}", container=f'image: a\n      env: {{LONG: "{"x" * 1000}{number}"}}'))
        load(specs)
    assert _file(specs).stat().st_size < 5000


def test_a_home_that_cannot_be_written_is_no_failure(specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert set(load(specs).sandboxes) == {"web"}


def test_known_documents_need_neither_yaml_nor_the_models(specs: Path) -> None:
    _, lower = _lowering()
    load_as(Names, lower, specs)  # type: ignore[arg-type]  # same
    code = (
        "import sys, msgspec\n"
        "from reconciler.load import load_as\n"
        "class Names(msgspec.Struct):\n    sandboxes: list[str]\n    calls: int\n"
        f"print(load_as(Names, None, {str(specs)!r}).sandboxes)\n"
        "print(sorted({'ruamel.yaml', 'pydantic', 'jsonschema'} & set(sys.modules)))\n"
    )
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split("\n")[:2] == ["['web']", "[]"]


def test_whoever_wants_less_is_given_less(specs: Path) -> None:
    class Counted(msgspec.Struct):
        sandboxes: msgspec.Raw

    calls, lower = _lowering()
    for _ in range(2):
        counted = load_as(Counted, lower, specs)  # type: ignore[arg-type]  # same
        assert msgspec.msgpack.decode(counted.sandboxes) == ["web"]
    assert load_as(Names, lower, specs).sandboxes == ["web"]  # type: ignore[arg-type]  # same
    assert len(calls) == 1


def test_a_load_tells_how_far_it_is_and_a_remembered_one_does_not(specs: Path) -> None:
    _, lower = _lowering()
    told: list[tuple[str, int, int]] = []
    for _ in range(2):
        load_as(Names, lower, specs, tell=lambda *heard: told.append(heard))  # type: ignore[arg-type]  # same
    assert told == [("reading", 0, 3), ("reading", 1, 3), ("reading", 2, 3), ("resolving", 0, 1), ("checking", 0, 1)]
