"""Values of secrets: text, whole, and in one line where the file that takes them needs it so."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.secret_files import read_secrets
from reconciler.errors import ReconcilerError
from reconciler.load.lower import lower
from reconciler.model.desired import Desired
from tests.unit.load.bad_specs import FLEET, documents, host, sandbox

ENV_FILE = '  files: {settings: {path: e, format: env, content: {A: a, KEY: "${secret:key}"}}}\n'
TEXT_FILE = '  files: {settings: {path: e, content: "${secret:key}"}}\n'


def fleet_with(value: bytes, folder: Path, *, rest: str) -> Desired:
    (folder / "specs").mkdir()
    (folder / "key").write_bytes(value)
    fleet = f"{FLEET}spec: {{secrets: {{key: {{file: {folder / 'key'}}}}}}}\n"
    return lower(documents(folder / "specs", fleet=fleet, h=host(), s=sandbox(rest=rest)))


@pytest.mark.parametrize("rest", [ENV_FILE, TEXT_FILE])
@pytest.mark.parametrize("value", [b"hunter2", b"hunter2\n", b"hunter2\r\n"])
def test_one_line_break_at_the_end_is_no_part_of_a_secret(value: bytes, rest: str, tmp_path: Path) -> None:
    read = read_secrets(fleet_with(value, tmp_path, rest=rest))
    assert read == {"secret:key": "hunter2"}
    assert repr(read) == "{'secret:key': (secret)}"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"hun\0ter2", "E_SECRET_TEXT"),
        (b"hunter2\0", "E_SECRET_TEXT"),
        (b"hunter2\xff", "E_SECRET_TEXT"),
        (b"\xed\xa0\x80hunter2", "E_SECRET_TEXT"),
        (b"\xef\xbb\xbfhunter2", "E_SECRET_TEXT"),
        ("hunter2".encode("utf-16"), "E_SECRET_TEXT"),
        (b"", "E_SECRET_MISSING"),
        (b"\n", "E_SECRET_MISSING"),
        (b"hunter2" * 10_000, "E_SECRET_MISSING"),
    ],
)
def test_60_a_secret_that_is_no_text_is_refused_without_showing_it(value: bytes, code: str, tmp_path: Path) -> None:
    desired = fleet_with(value, tmp_path, rest=TEXT_FILE)
    with pytest.raises(ReconcilerError) as refused:
        read_secrets(desired)
    error = refused.value
    assert error.code == code
    assert error.message.startswith(f"secret key: its file {tmp_path / 'key'} ")
    assert error.hint
    assert "hunter2" not in f"{error.message}{error.hint}"


@pytest.mark.parametrize("value", [b"hunter2\nADMIN=1", b"hunter2\rADMIN=1\n", b"hunter2\n\n"])
def test_a_secret_of_several_lines_adds_no_variable_to_an_env_file(value: bytes, tmp_path: Path) -> None:
    desired = fleet_with(value, tmp_path, rest=ENV_FILE)
    with pytest.raises(ReconcilerError) as refused:
        read_secrets(desired)
    error = refused.value
    assert error.code == "E_SECRET_TEXT"
    for word in ("secret key", str(tmp_path / "key"), "sandbox web", "files.settings", "s.yaml:"):
        assert word in error.message
    assert error.hint
    assert "hunter2" not in f"{error.message}{error.hint}"
    assert "ADMIN" not in f"{error.message}{error.hint}"


def test_a_secret_of_several_lines_is_whole_in_a_file_of_text(tmp_path: Path) -> None:
    desired = fleet_with(b"one\ntwo\n", tmp_path, rest=TEXT_FILE)
    assert read_secrets(desired) == {"secret:key": "one\ntwo"}


def test_60_a_secrets_file_that_is_none_is_refused(tmp_path: Path) -> None:
    desired = fleet_with(b"x", tmp_path, rest=TEXT_FILE)
    (tmp_path / "key").unlink()
    with pytest.raises(ReconcilerError, match="cannot be read: No such file"):
        read_secrets(desired)
    (tmp_path / "key").mkdir()
    with pytest.raises(ReconcilerError, match="is not a regular file"):
        read_secrets(desired)
