"""What every command has in common: help, exit statuses, quick starts, no traceback. No host is needed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from reconciler.cli.app import app
from tests.e2e.driver import TRACEBACK, Driver, command

HEAVY = ("asyncssh", "aiohttp", "aiodocker")
READERS = {"ruamel.yaml", "jsonschema", "reconciler.spec.sandbox"}
FULL_ID = "a" * 64


def commands_of(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the words of every command and every group of commands."""
    yield path
    for name, inner in sorted(getattr(group, "commands", {}).items()):
        yield from commands_of(inner, (*path, name))


COMMANDS = list(commands_of(typer.main.get_command(app)))


def test_the_commands_of_this_room_are_there() -> None:
    wanted = {("doctor",), ("host", "add"), ("host", "accept"), ("inspect", "host"), ("plan",), ("apply",)}
    assert wanted <= set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(bare: Driver, words: tuple[str, ...]) -> None:
    ran = bare.run(*words, "--help").expect(0)

    assert ran.stdout.startswith("Usage: ")
    assert ran.stderr == ""
    assert max(len(line) for line in ran.stdout.splitlines()) <= 100


@pytest.mark.parametrize(
    "words",
    [
        ["nope"],
        ["plan", "--nope"],
        ["plan", "-o", "nope"],
        ["apply", "--allow-destroy", "-1"],
        ["apply", "--lock-timeout", "soon"],
        ["destroy"],
        ["destroy", "web", "--all"],
        ["adopt"],
        ["host"],
        ["host", "nope"],
        ["host", "add", "gpu-01"],
        ["host", "accept"],
        ["inspect"],
        ["inspect", "host"],
        ["doctor", "-o", "yaml"],
        ["status", "extra"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_64_and_says_where_help_is(bare: Driver, words: list[str]) -> None:
    bare.declare_fleet()

    ran = bare.run(*words).expect(64)

    assert ran.stdout == ""
    assert ran.stderr.startswith("error: ")


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "nobody"],
        ["plan", "--on", "nowhere"],
        ["plan", "--exclude", "nobody"],
        ["apply", "nobody", "--yes"],
        ["doctor", "nowhere"],
        ["inspect", "host", "nowhere"],
        ["host", "accept", "nowhere", "--yes"],
    ],
    ids=" ".join,
)
def test_a_name_that_nothing_has_is_wrong_usage(bare: Driver, words: list[str]) -> None:
    bare.declare_fleet()

    ran = bare.run(*words).expect(64)

    assert "[E_NO_MATCH]" in ran.stderr
    assert not bare.status.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["validate"],
        ["plan"],
        ["apply", "--yes"],
        ["destroy", "web", "--yes"],
        ["adopt", FULL_ID, "--yes"],
        ["doctor"],
        ["inspect", "host", "alpha"],
        ["host", "add", "gpu-01", "gpu", "--yes"],
        ["host", "accept", "alpha", "--yes"],
    ],
    ids=" ".join,
)
def test_a_missing_spec_folder_is_an_error(bare: Driver, words: list[str]) -> None:
    ran = bare.run(*words, "--specs", "elsewhere").expect(1)

    assert "E_SPEC_DIR elsewhere" in ran.stderr
    assert not (bare.folder / "elsewhere").exists()


@pytest.mark.parametrize(
    ("name", "alias", "code"),
    [
        ("Gpu_01", "gpu", "E_NAME"),
        ("sbx-gpu", "gpu", "E_NAME"),
        ("gpu-01", "-oProxyCommand=touch sprung", "E_SSH_ALIAS"),
        ("gpu-01", "-F/dev/null", "E_SSH_ALIAS"),
        ("gpu-01", "gpu;touch sprung", "E_SSH_ALIAS"),
        ("gpu-01", "gpu\ntouch sprung", "E_SSH_ALIAS"),
        ("gpu-01", "", "E_SSH_ALIAS"),
    ],
)
def test_host_add_takes_no_option_of_ssh_for_a_name(bare: Driver, name: str, alias: str, code: str) -> None:
    bare.declare_fleet()

    ran = bare.run("host", "add", "--yes", "--", name, alias).expect(64)

    assert f"[{code}]" in ran.stderr
    assert not (bare.folder / "sprung").exists()


def test_host_add_without_ssh_on_path_says_so_in_one_line(bare: Driver) -> None:
    bare.declare_fleet()
    empty = bare.folder / "empty"
    empty.mkdir()

    ran = bare.run("host", "add", "gpu-01", "gpu", "--yes", env={"PATH": str(empty)}).expect(1)

    error, hint = ran.stderr.splitlines()
    assert error == "error: there is no ssh on PATH to ask what the alias means [E_SSH_TOOL]"
    assert hint.startswith("hint: ")


def test_host_add_refuses_what_is_no_fingerprint(bare: Driver) -> None:
    bare.declare_fleet()

    ran = bare.run("host", "add", "gpu-01", "gpu", "--fingerprint", "SHA256:short").expect(64)

    assert "[E_FINGERPRINT]" in ran.stderr


@pytest.mark.parametrize("words", [["--help"], ["validate"], ["plan", "--help"], ["doctor", "--help"]], ids=" ".join)
def test_what_reaches_no_host_loads_nothing_that_could(bare: Driver, words: list[str]) -> None:
    bare.declare_fleet()

    assert loaded_by(bare, *words).isdisjoint(HEAVY)


def test_unchanged_specs_are_validated_without_yaml_or_models(bare: Driver) -> None:
    bare.declare_fleet()
    first = loaded_by(bare, "validate")
    again = loaded_by(bare, "validate")

    assert first >= READERS
    assert again.isdisjoint({*HEAVY, *READERS})


def test_a_command_that_reaches_hosts_does_load_what_it_needs(bare: Driver) -> None:
    """The two tests above could not fail if modules were looked for in a wrong way."""
    bare.declare_fleet()
    bare.declare("Host", "here", {"address": "local", "dockerSocket": "/run/nothing-here.sock"})

    assert "aiohttp" in loaded_by(bare, "doctor")


@pytest.mark.parametrize("words", [["--help"], ["plan"], ["doctor"], ["doctor", "-o", "json"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(bare: Driver, words: list[str]) -> None:
    bare.declare_fleet()
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*command(), *words],
            cwd=bare.folder,
            env=bare.env(),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(writing)

    assert done.returncode == 0
    assert "error" not in done.stderr.lower()
    assert TRACEBACK not in done.stderr


def test_a_terminal_gets_colour_unless_it_wants_none(bare: Driver) -> None:
    bare.declare_fleet()
    bare.declare("Host", "here", {"address": "local", "dockerSocket": "/run/nothing-here.sock"})
    bare.declare("Sandbox", "web", {"host": "here", "containers": {"main": {"image": "lab/web:1"}}})

    coloured = bare.run_at_terminal("plan").expect(3).stdout
    plain = bare.run_at_terminal("plan", env={"NO_COLOR": "1"}).expect(3).stdout
    piped = bare.run("plan").expect(3).stdout

    assert "\x1b[" in coloured
    assert "\x1b" not in plain
    assert "\x1b" not in piped
    assert "host/here" in plain


def test_no_command_at_all_shows_the_help(bare: Driver) -> None:
    ran = bare.run().expect(64)

    assert "\\n" not in ran.stdout + ran.stderr
    assert "Commands:\n" in ran.stdout + ran.stderr


def loaded_by(driver: Driver, *words: str) -> set[str]:
    """Run a command inside a fresh Python and give the modules that it had loaded at its end."""
    script = (
        "import json, sys\n"
        "from reconciler.cli import run\n"
        "run(sys.argv[1:])\n"
        "sys.__stdout__.write('\\n' + json.dumps(sorted(sys.modules)) + '\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=driver.folder,
        env=driver.env(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))
