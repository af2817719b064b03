"""Small changes through a kept shell: sent once at most, and unknown wherever no whole answer came."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.errors import ConnectFailed, OutcomeUnknown
from reconciler.host.files.change import HostFiles
from reconciler.host.scripts import load_script
from reconciler.host.shell import BOOTSTRAP
from reconciler.host.shell.held import Hand
from reconciler.host.shell.local import LocalShell
from reconciler.model.effect import Done, MakeDirectory, NotDone, Outcome, PutMarker
from tests.builders import a_marker

MARKER = a_marker()
SHELLS = [path for name in ("dash", "bash", "busybox") if (path := shutil.which(name)) is not None]


class OtherShell(LocalShell):
    """Run scripts with another shell than `/bin/sh`."""

    def __init__(self, program: str) -> None:
        super().__init__("h1")
        self._program = program

    async def _spawn(self, *, errors: int) -> asyncio.subprocess.Process:
        sh = [self._program, *(["sh"] if self._program.endswith("busybox") else [])]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *sh, "-c", BOOTSTRAP, stdin=pipe, stdout=pipe, stderr=errors, cwd="/", limit=1 << 20
        )


@pytest.fixture
async def hand() -> AsyncIterator[Hand]:
    kept = Hand(LocalShell("h1"))
    yield kept
    await kept.close()


def held() -> bool:
    return True


async def wait_for(path: Path) -> None:
    async with asyncio.timeout(10):
        while not path.exists():  # noqa: ASYNC110  # another process makes it
            await asyncio.sleep(0.01)


async def run(hand: Hand, script: str, *args: str, deadline_s: float = 10.0) -> bytes:
    return (await hand.run(script, args=args, deadline_s=deadline_s, is_held=held)).stdout


async def test_one_shell_does_one_change_after_another(hand: Hand) -> None:
    first = await run(hand, "printf %s $$")
    assert await asyncio.gather(*(run(hand, 'printf "%s %s" "$$" "$1"', f"n {n}") for n in range(9))) == [
        first + f" n {n}".encode() for n in range(9)
    ]


async def test_what_was_cut_short_is_unknown_and_is_not_sent_again(hand: Hand, tmp_path: Path) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        await run(hand, 'echo ran >>"$1"; kill -9 $$; sleep 5', str(tmp_path / "log"))
    assert (caught.value.code, caught.value.transient) == ("E_EXEC_LOST", True)
    assert (tmp_path / "log").read_text() == "ran\n"
    assert await run(hand, "printf again") == b"again"


async def test_what_is_late_is_unknown_and_its_answer_is_nobody_elses(hand: Hand) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        await run(hand, "sleep 1; printf late", deadline_s=0.2)
    assert caught.value.code == "E_EXEC_DEADLINE"
    assert await run(hand, "printf mine") == b"mine"


async def test_what_was_given_up_leaves_its_answer_to_nobody_else(hand: Hand, tmp_path: Path) -> None:
    script = 'echo >"$1"; while [ ! -e "$2" ]; do sleep 0.01; done; printf theirs'
    given_up = asyncio.create_task(run(hand, script, str(tmp_path / "begun"), str(tmp_path / "go")))
    await wait_for(tmp_path / "begun")
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    (tmp_path / "go").touch()
    assert await run(hand, "printf mine") == b"mine"


async def test_nothing_is_sent_once_the_lock_is_lost_also_while_others_are_waited_for(
    hand: Hand, tmp_path: Path
) -> None:
    is_ours = True
    script = 'echo "$1" >>"$2/log"; while [ ! -e "$2/go" ]; do sleep 0.01; done'

    async def change(word: str) -> None:
        await hand.run(script, args=(word, str(tmp_path)), deadline_s=10, is_held=lambda: is_ours)

    first, second = asyncio.create_task(change("first")), asyncio.create_task(change("second"))
    await wait_for(tmp_path / "log")
    is_ours = False
    (tmp_path / "go").touch()
    await first
    with pytest.raises(ConnectFailed) as caught:
        await second
    assert caught.value.code == "E_NO_LEASE"
    assert (tmp_path / "log").read_text() == "first\n"


async def test_a_script_that_arrived_in_part_is_not_run(tmp_path: Path) -> None:
    whole = f'm1\ndefine f\necho ran >"$1"\nm1\ncall f 1\n{tmp_path}/log\nm1\n'.encode()
    for length in range(len(whole)):
        pipe = await LocalShell("h1").start(load_script("held"), deadline_s=10)
        pipe.send(whole[:length])
        await pipe.close()
        assert not (tmp_path / "log").exists(), whole[:length]


async def test_an_argument_of_two_lines_is_our_own_mistake(hand: Hand) -> None:
    with pytest.raises(ValueError, match="one line"):
        await run(hand, "true", "a\nb")


@pytest.mark.parametrize("program", SHELLS)
async def test_markers_and_folders_are_made_alike_in_every_shell(program: str, tmp_path: Path) -> None:
    base = tmp_path / "our things" / "lab"
    hand = Hand(OtherShell(program))
    files = HostFiles(LocalShell("h1"), base_dir=str(base), is_held=held, hand=hand)

    async def mark() -> Outcome:
        return await files.put_marker(PutMarker(str(base), MARKER))

    try:
        assert [await mark(), await mark()] == [Done(), Done(changed=False)]
        folder = base / MARKER.uid
        assert (folder.stat().st_mode & 0o777, (folder / ".reconciler.json").stat().st_mode & 0o777) == (0o700, 0o600)
        made = await files.make_directory(MakeDirectory(str(folder / "a" / "b"), "0750", str(base)))
        assert made == Done()
        (folder / ".reconciler.json").unlink()
        (folder / ".reconciler.json").symlink_to(tmp_path / "decoy")
        refused = await mark()
        assert isinstance(refused, NotDone)
        assert refused.code == "E_PATH_LINK"
        assert not (tmp_path / "decoy").exists()
        assert sorted(path.name for path in base.iterdir()) == sorted([MARKER.uid, ".host-id"])
    finally:
        await hand.close()
