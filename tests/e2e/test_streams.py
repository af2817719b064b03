"""Closed, full and broken streams: no traceback, no "bug", and an exit status that says what happened."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable

import pytest

from tests.e2e.driver import TRACEBACK, Driver, Ran, command
from tests.e2e.sights import IDLE
from tests.lab.host import LabHost

SOCKET = "/run/nothing-here.sock"
WORDS = [
    ["--help"],
    ["--version"],
    ["validate"],
    ["plan"],
    ["plan", "--json"],
    ["plan", "-o", "json"],
    ["apply", "--yes"],
    ["apply", "--yes", "--json"],
    ["status"],
    ["doctor"],
    ["inspect", "host", "here"],
    ["schema", "--dir", "written"],
    ["nope"],
    [],
]
Well = Callable[[list[str]], Ran]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """Give specs with a host that has no engine, and a status that a first apply left."""
    driver = Driver(tmp_path_factory.mktemp("streams") / "work", fleet="streams")
    driver.declare_fleet()
    driver.declare("Host", "here", {"address": "local", "dockerSocket": SOCKET})
    driver.declare("Sandbox", "web", {"host": "here", "containers": {"main": {"image": "lab/web:1"}}})
    driver.run("apply", "--yes").expect(3)
    return driver


@pytest.fixture(scope="module")
def well(there: Driver) -> Well:
    """Tell what a command says where its streams are whole."""
    known: dict[tuple[str, ...], Ran] = {}

    def run(words: list[str]) -> Ran:
        key = tuple(words)
        if key not in known:
            known[key] = run_with(there, words, "")
        return known[key]

    return run


def run_with(driver: Driver, words: list[str], redirections: str) -> Ran:
    """Run a command as a shell does, with streams redirected; what is left of them is captured."""
    shutil.rmtree(driver.folder / "written", ignore_errors=True)
    return driver.run_in_shell(f'exec "$@" {redirections}', *words, timeout_s=60)


def quiet(done: Ran) -> None:
    """Check that nobody was shown our own troubles."""
    said = done.stdout + done.stderr
    assert TRACEBACK not in said
    assert "this is a bug" not in said
    assert "Exception ignored" not in said


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_output_that_is_lost_is_an_error_and_said_once(there: Driver, words: list[str], well: Well) -> None:
    wanted = well(words)
    done = run_with(there, words, ">/dev/full")

    quiet(done)
    if wanted.stdout:
        assert done.exit == 1
        assert done.stderr == f"{wanted.stderr}error: the output cannot be written: No space left on device\n"
    else:
        assert done.exit == wanted.exit
        assert done.stderr == wanted.stderr


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["plan", "-o", "json"], ["apply", "--yes"]], ids=" ".join)
def test_output_that_is_closed_is_lost_too(there: Driver, words: list[str]) -> None:
    for redirections in (">&-", "<&- >&-"):
        done = run_with(there, words, redirections)

        quiet(done)
        assert done.exit == 1
        assert done.stderr == "error: the output cannot be written: it is closed\n"


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_without_a_place_for_words_the_rest_is_as_ever(there: Driver, words: list[str], well: Well) -> None:
    wanted = well(words)
    done = run_with(there, words, "2>&-" if len(words) % 2 else "2>/dev/full")

    quiet(done)
    assert done.exit == wanted.exit
    assert len(done.stdout.splitlines()) == len(wanted.stdout.splitlines())


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_reader_that_goes_away_changes_no_exit_status(there: Driver, words: list[str], well: Well) -> None:
    wanted = well(words)
    shutil.rmtree(there.folder / "written", ignore_errors=True)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*command(), *words],
            cwd=there.folder,
            env=there.env(),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)

    assert done.returncode == wanted.exit
    assert done.stderr == wanted.stderr


@pytest.mark.parametrize("redirections", [">&- 2>&-", "<&- >&- 2>&-"])
def test_nothing_that_is_opened_takes_the_place_of_a_closed_stream(there: Driver, redirections: str) -> None:
    """A status file opened as descriptor 1 would hold what is meant for the terminal."""
    files = sorted((there.status).rglob("*.json"))
    assert run_with(there, ["apply", "--yes"], redirections).exit == 1
    for path in files:
        json.loads(path.read_text())


def test_a_pipe_that_does_not_wait_gets_everything(bare: Driver) -> None:
    """Another program may have made our pipe one that does not block: what it has no room for is waited with."""
    bare.declare_fleet()
    bare.declare("Host", "here", {"address": "local", "dockerSocket": SOCKET})
    for number in range(400):
        bare.declare("Sandbox", f"web-{number}", {"host": "here", "containers": {"main": {"image": "lab/web:1"}}})
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = subprocess.Popen(
        [*command(), "plan", "-o", "json"],
        cwd=bare.folder,
        env=bare.env(),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        document = json.loads(pipe.read())
    assert process.wait(timeout=60) == 3
    assert len(document["held_back"]) == 400
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_terminal_that_knows_few_characters_is_no_bug(there: Driver) -> None:
    ran = there.run("schema", "--dir", "sch…mas", env={"PYTHONIOENCODING": "ascii"}).expect(0)

    assert "sch\\u2026mas/plan.json\n" in ran.stdout


@pytest.mark.lab
def test_a_pass_goes_on_when_nobody_reads_along_any_more(fleet: Driver, alpha: LabHost) -> None:
    for name in ("web-1", "web-2"):
        fleet.declare_sandbox(name, host="alpha", containers={"main": IDLE})
    running = fleet.start("apply", "--yes", "--json")
    assert running.process.stdout is not None
    assert json.loads(running.process.stdout.readline())["type"] == "version"
    running.process.stdout.close()

    assert running.process.stderr is not None
    assert running.process.stderr.read() == ""
    running.process.stderr.close()
    assert running.process.wait(timeout=120) == 0
    assert len(fleet.containers(alpha)) == 2
    assert fleet.run("status", "-o", "name").stdout.split() == ["sandbox/web-1", "sandbox/web-2"]


@pytest.mark.lab
@pytest.mark.parametrize("words", [["apply", "--yes"], ["apply", "--yes", "--json"]], ids=" ".join)
def test_nothing_is_changed_when_the_plan_cannot_be_written(fleet: Driver, alpha: LabHost, words: list[str]) -> None:
    fleet.declare_sandbox("web", host="alpha", containers={"main": IDLE})

    done = run_with(fleet, words, ">/dev/full")

    assert done.exit == 1
    assert fleet.containers(alpha) == {}


def test_a_load_that_takes_its_time_says_on_a_terminal_how_far_it_is(bare: Driver) -> None:
    bare.declare_fleet()
    bare.declare("Host", "h1", {"address": "local"})
    for number in range(2000):
        bare.declare_sandbox(f"s{number}", host="h1", containers={"main": {"image": "web:1"}})
    told = bare.run_at_terminal("validate")
    assert "resolving [#" in told.stdout
    assert told.stdout.rstrip().endswith("valid. 2000 sandboxes on 1 host.")
