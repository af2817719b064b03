"""Scripts arrive whole or do not run; data never becomes part of a command."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ConnectFailed, OutcomeUnknown, ReadFailed
from reconciler.host.shell import BOOTSTRAP, REMOTE_COMMAND, frame, unframe
from reconciler.host.shell.held import HeldShell
from reconciler.host.shell.local import LocalShell

lines = st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=30)


def running(word: str) -> list[Path]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word.encode() in path.read_bytes():
                found.append(path)
    return found


def boot(payload: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["/bin/sh", "-c", BOOTSTRAP], input=payload, capture_output=True, check=False, timeout=20)


def test_the_remote_command_holds_nothing_that_csh_or_fish_would_expand() -> None:
    assert "'" not in BOOTSTRAP
    assert "!" not in BOOTSTRAP
    assert "\n" not in REMOTE_COMMAND
    assert "\\\\" not in BOOTSTRAP


@given(st.lists(lines, max_size=4), st.binary(max_size=60))
def test_arguments_and_input_arrive_byte_for_byte(args: list[str], data: bytes) -> None:
    script = 'printf "%s\\n" "$#" "$@"; cat'
    framed = frame(script, tuple(args), data)
    done = boot(framed.payload)
    completed = unframe("h1", framed, exit_status=done.returncode, stdout=done.stdout, stderr=done.stderr)
    shown = "".join(f"{arg}\n" for arg in [str(len(args)), *args]).encode()
    assert completed.stdout == shown + data
    assert completed.stderr == b""


@pytest.mark.parametrize("arg", ["a\nb", "a\0b"])
def test_an_argument_that_is_not_one_line_is_refused_here(arg: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        frame("true", (arg,), b"")


def test_a_script_that_did_not_arrive_whole_does_not_run() -> None:
    whole = frame("echo ran\necho ran again\n", ("x",), b"").payload
    for length in range(len(whole)):
        assert b"ran" not in boot(whole[:length]).stdout, length


def test_what_a_login_shell_prints_at_start_is_dropped() -> None:
    framed = frame("true", (), b"")
    line = framed.marker + b"\n"
    done = unframe("h1", framed, exit_status=3, stdout=b"Welcome!\n" + line + b"own\n", stderr=b"motd\n" + line + b"e")
    assert (done.exit_status, done.stdout, done.stderr) == (3, b"own\n", b"e")


def test_a_login_shell_that_runs_nothing_has_its_own_code_and_its_words_shown_escaped() -> None:
    framed = frame("true", (), b"")
    with pytest.raises(ConnectFailed) as caught:
        unframe("h1", framed, exit_status=1, stdout=b"This account is \x1b[31mclosed.\n", stderr=b"")
    assert caught.value.code == "E_REMOTE_SHELL"
    assert "This account is" in caught.value.message
    assert "\x1b" not in caught.value.message


async def test_a_local_script_past_its_deadline_is_killed_with_all_its_children() -> None:
    shell = LocalShell("h1")
    with pytest.raises(OutcomeUnknown) as caught:
        await shell.run("sleep 987654 & sleep 987654", deadline_s=0.3)
    assert caught.value.code == "E_EXEC_DEADLINE"
    assert not running("987654")


async def test_a_local_script_that_prints_without_end_is_refused() -> None:
    with pytest.raises(ReadFailed) as caught:
        await LocalShell("h1").run("while :; do echo yyyyyyyyyyyyyyyy; done", deadline_s=20, output_limit_bytes=10_000)
    assert caught.value.code == "E_HOST_REPLY"


async def test_a_local_script_sees_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "hunter2")
    done = await LocalShell("h1").run("env", deadline_s=10)
    assert b"hunter2" not in done.stdout
    assert b"LC_ALL=C" in done.stdout


async def test_a_script_may_end_without_reading_its_input() -> None:
    done = await LocalShell("h1").run("exit 7", stdin=b"x" * 3_000_000, deadline_s=10)
    assert done.exit_status == 7


async def test_a_kept_shell_answers_again_and_again_and_keeps_looks_apart() -> None:
    held = HeldShell(LocalShell("h1"))
    try:
        for number in range(30):
            done = await held.run('cat; printf "%s" "$1"; exit 5', args=(f"n{number}",), stdin=b"in\n", deadline_s=10)
            assert (done.exit_status, done.stdout) == (5, f"in\nn{number}".encode())
            assert (await held.run("cat; true", deadline_s=10)).stdout == b""
    finally:
        await held.close()


async def test_a_kept_shell_that_was_killed_is_replaced_within_the_call() -> None:
    held = HeldShell(LocalShell("h1"))
    try:
        first = (await held.run("printf %s $PPID; printf ' %s' $$", deadline_s=10)).stdout.split()[1]
        done = await held.run('kill -9 "$1" 2>/dev/null; printf alive', args=(first.decode(),), deadline_s=10)
        assert done.stdout == b"alive"
        assert (await held.run("printf %s $$", deadline_s=10)).stdout != first
    finally:
        await held.close()


async def test_a_kept_shell_past_its_deadline_is_an_error_and_the_next_look_works() -> None:
    held = HeldShell(LocalShell("h1"))
    try:
        with pytest.raises(ReadFailed) as caught:
            await held.run("sleep 30", deadline_s=0.3)
        assert caught.value.code == "E_EXEC_DEADLINE"
        assert (await held.run("printf fine", deadline_s=10)).stdout == b"fine"
    finally:
        await held.close()
