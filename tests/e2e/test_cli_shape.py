"""What every command has in common: help, exit statuses, quick starts, no traceback. No host is needed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from reconciler.cli.app import app
from tests.e2e.driver import Driver

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
        ["doctor", "-o", "xml"],
        ["plan", "--specs", ""],
        ["plan", "--status", ""],
        ["plan", "--out", ""],
        ["plan", "--out", "."],
        ["apply", "--specs", "", "--yes"],
        ["status", "--status", ""],
        ["schema", "--dir", ""],
        ["--version=3"],
        ["apply", "--yes=no"],
        ["reap-stale", "--apply", "--dry-run"],
        ["apply", "a.plan", "--on", "here"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_64_and_says_where_help_is(bare: Driver, words: list[str]) -> None:
    bare.declare_fleet()

    ran = bare.run(*words).expect(64)

    assert ran.stdout == ""
    assert ran.stderr.startswith("error: ")
    assert "\nhint: " in ran.stderr


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["plan", "--on"], "--on SELECTOR"),
        (["reap-stale", "--older-than"], "--older-than SPAN"),
        (["apply", "--allow-destroy"], "--allow-destroy N"),
        (["apply", "--allow-destroy", "few"], "'few' is no whole number, 0 or more"),
        (["status", "-o"], "-o <table|wide|json|yaml|name>"),
        (["plan", "--out", "/nope/x"], "there is no folder /nope"),
        (["plan", "--out", "/tmp"], "it is a folder"),
        (["plan", "-o", "yaml", "--json"], "leave out --json, or -o yaml"),
        (["destroy", "nope"], "reconcile status lists what the records know"),
    ],
    ids=str,
)
def test_wrong_usage_says_what_was_expected(bare: Driver, words: list[str], wanted: str) -> None:
    bare.declare_fleet()

    ran = bare.run(*words).expect(64)

    assert wanted in ran.stderr
    assert "\nhint: " in ran.stderr
    assert not bare.status.exists()


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


def test_a_document_and_a_stream_at_once_are_wrong_usage(bare: Driver) -> None:
    bare.declare_fleet()

    ran = bare.run("plan", "-o", "json", "--json").expect(64)

    assert "--output" in ran.stderr
    assert [line["type"] for line in ran.lines] == ["diagnostic"]


@pytest.fixture
def recorded(bare: Driver) -> Driver:
    """Give two hosts without engines, a sandbox on each, and the status that a first apply left."""
    bare.declare_fleet()
    for host, sandbox in (("here", "web-1"), ("there", "db-1")):
        spec = {"address": "local", "dockerSocket": f"/run/nothing-{host}.sock", "baseDir": f"/srv/nothing-{host}"}
        bare.declare("Host", host, spec, labels={"pool": host})
        bare.declare("Sandbox", sandbox, {"host": host, "containers": {"main": {"image": "lab/web:1"}}})
    bare.run("apply", "--yes").expect(3)
    return bare


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", "web-1", "--exclude", "web-1"], "--exclude leaves nothing"),
        (["plan", "--exclude", "web-1", "--exclude", "db-1"], "--exclude leaves nothing"),
        (["plan", "web-1", "--on", "there"], "it is on here"),
        (["apply", "web-1", "--exclude", "web-1", "--yes"], "--exclude leaves nothing"),
        (["status", "web-1", "--exclude", "web-1"], "--exclude leaves nothing"),
        (["status", "web-1", "--on", "there"], "it is on here"),
        (["status", "web-2"], "did you mean web-1?"),
        (["status", "--exclude", "db"], "did you mean db-1?"),
        (["status", "--on", "pool=nowhere"], "there are: here, there"),
        (["status", "--on", "ther"], "did you mean there?"),
    ],
    ids=str,
)
def test_a_selection_that_is_empty_is_wrong_usage(recorded: Driver, words: list[str], said: str) -> None:
    ran = recorded.run(*words).expect(64)

    assert ran.stdout == ""
    assert "[E_NO_MATCH]" in ran.stderr
    assert said in ran.stderr


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ["sandbox/db-1", "sandbox/web-1"]),
        (["web-1"], ["sandbox/web-1"]),
        (["--exclude", "web-1"], ["sandbox/db-1"]),
        (["--on", "there"], ["sandbox/db-1"]),
        (["--on", "pool=here"], ["sandbox/web-1"]),
        (["--on", "here", "--on", "pool=there"], ["sandbox/db-1", "sandbox/web-1"]),
    ],
    ids=str,
)
def test_status_shows_what_is_selected(recorded: Driver, words: list[str], names: list[str]) -> None:
    assert recorded.run("status", "-o", "name", *words).expect(0).stdout.split() == names
    document = recorded.run("status", "-o", "json", *words).expect(0).json
    assert [f"sandbox/{one['name']}" for one in document["sandboxes"]] == names
    assert len(document["hosts"]) == len(names)


@pytest.mark.parametrize("command", ["plan", "status"])
def test_wide_shows_more_than_a_table_and_name_only_addresses(recorded: Driver, command: str) -> None:
    table = recorded.run(command).stdout
    wide = recorded.run(command, "-o", "wide").stdout
    named = recorded.run(command, "-o", "name").stdout

    if command == "status":  # nothing is planned for hosts that are silent, so there is no more to say of a plan
        assert len(wide) > len(table)
        assert "SINCE" in wide
        assert "RUN" in wide
    assert named == ("sandbox/db-1\nsandbox/web-1\n" if command == "status" else "")


@pytest.mark.parametrize("words", [["plan"], ["apply", "--yes"], ["status"]], ids=" ".join)
def test_a_silent_host_is_named_with_what_to_do(recorded: Driver, words: list[str]) -> None:
    shown = recorded.run(*words).stdout.splitlines()

    at = next(number for number, line in enumerate(shown) if line.startswith("  ? host/here"))
    assert "hint: " in shown[at + 1]
    assert any("reconcile doctor here" in line for line in shown[at + 1 : at + 3])


@pytest.mark.parametrize(
    "words", [["status"], ["plan"], ["inspect", "host", "here"], ["doctor"], ["validate"]], ids=" ".join
)
def test_a_command_that_reads_writes_nothing_into_the_status_folder(recorded: Driver, words: list[str]) -> None:
    (recorded.status / "sandboxes/web-1.json").write_text("{")
    (recorded.status / ".lock").unlink()
    before = contents(recorded.status)

    ran = recorded.run(*words)

    assert contents(recorded.status) == before
    assert ran.stderr.count("is damaged and left out") == (words[0] in ("status", "plan"))


@pytest.mark.parametrize("words", [["apply", "--yes"], ["destroy", "web-1", "--yes"]], ids=" ".join)
def test_a_pass_moves_a_damaged_file_aside_and_says_so_once(recorded: Driver, words: list[str]) -> None:
    (recorded.status / "sandboxes/web-1.json").write_text("{")

    ran = recorded.run(*words)

    assert ran.stderr.count("web-1.json") == 2, ran.stderr
    assert "is damaged and was moved to web-1.json.corrupt-" in ran.stderr
    assert [path.read_text() for path in (recorded.status / "sandboxes").glob("*.corrupt-*")] == ["{"]


@pytest.mark.parametrize(
    "words", [["status"], ["plan"], ["apply", "--yes"], ["destroy", "--all", "--yes"]], ids=" ".join
)
def test_another_fleets_status_folder_is_refused_untouched(recorded: Driver, words: list[str]) -> None:
    path = recorded.status / "fleet.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fleet": "other"}))
    before = contents(recorded.status)

    ran = recorded.run(*words).expect(1)

    assert "[E_STATUS_FLEET]" in ran.stderr
    assert "hint: " in ran.stderr
    assert contents(recorded.status) == before


@pytest.mark.parametrize("words", [["plan"], ["apply", "--yes"], ["adopt", FULL_ID, "--yes"]], ids=" ".join)
def test_specs_of_another_fleet_leave_a_status_folder_alone(recorded: Driver, words: list[str]) -> None:
    recorded.drop("Fleet", recorded.fleet)
    recorded.declare("Fleet", "other", {})
    before = contents(recorded.status)

    ran = recorded.run(*words).expect(1)

    assert "[E_STATUS_FLEET]" in ran.stderr
    assert contents(recorded.status) == before


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
    ran = driver.execute(sys.executable, "-c", script, *words, timeout_s=60).expect(0)
    return set(json.loads(ran.stdout.splitlines()[-1]))
