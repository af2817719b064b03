"""What Docker accepts and no container can live with, or what means another thing than it says: refused before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.load.lower import lower
from reconciler.model.resource import File
from reconciler.model.text import Late, Template
from tests.unit.load.bad_specs import FLEET, documents, host, problems, sandbox
from tests.unit.load.test_places import told


def container(text: str) -> str:
    return sandbox(container=f"image: web:1\n      {text}")


@pytest.mark.parametrize(
    "user",
    ["root;id", "-1", "", "a b", "0:0:0", ":0", "1000:", "$(id)", "2147483648", "0:4294967296", "ä", "a/b", "-r"],
)
def test_a_user_that_docker_cannot_look_up_is_refused(user: str, tmp_path: Path) -> None:
    told(problems(tmp_path, h=host(), s=container(f'user: "{user}"')), "E_USER")


@pytest.mark.parametrize(
    "user", ["root", "0", "1000:1000", "www-data:33", "postgres:postgres", "_apt", "a.b", "2147483647"]
)
def test_a_user_is_a_name_or_an_id_with_or_without_a_group(user: str, tmp_path: Path) -> None:
    found = documents(tmp_path, h=host(), s=container(f'user: "{user}"'))
    assert found.sandboxes["web"].spec.containers["main"].user == user


@pytest.mark.parametrize(
    ("ulimits", "code", "says"),
    [
        ("nofiles: {soft: 1, hard: 1}", "E_VALUE", "did you mean nofile?"),
        ("RLIMIT_NOFILE: {soft: 1, hard: 1}", "E_VALUE", "one of: core"),
        ("nofile: {soft: 2, hard: 1}", "E_RANGE", "raise hard"),
        ("nproc: {soft: -1, hard: 1}", "E_RANGE", "raise hard"),
        ("nofile: {soft: 1, hard: -1}", "E_RANGE", "1048576"),
    ],
)
def test_a_bound_that_no_kernel_sets_is_refused(ulimits: str, code: str, says: str, tmp_path: Path) -> None:
    assert says in (told(problems(tmp_path, h=host(), s=container(f"ulimits: {{{ulimits}}}")), code).hint or "")


@pytest.mark.parametrize(
    "bound", ["nofile: {soft: 1024, hard: 4096}", "memlock: {soft: -1, hard: -1}", "core: {soft: 0, hard: 0}"]
)
def test_a_bound_that_kernels_know_is_set(bound: str, tmp_path: Path) -> None:
    assert problems(tmp_path, h=host(), s=container(f"ulimits: {{{bound}}}")) == ()


@pytest.mark.parametrize(
    "test",
    [
        "[curl, x]",
        "[CMD]",
        '[CMD, ""]',
        "[CMD-SHELL]",
        "[CMD-SHELL, curl, x]",
        "[NONE, x]",
        '[""]',
        "[cmd, x]",
        '[CMD-SHELL, ""]',
    ],
)
def test_a_health_test_that_is_none_is_refused(test: str, tmp_path: Path) -> None:
    found = problems(tmp_path, h=host(), s=container(f"healthcheck: {{test: {test}}}"))
    assert [problem.code for problem in found] == ["E_COMMAND"]
    assert "[CMD, program, words…]" in found[0].message


@pytest.mark.parametrize("test", ["[CMD, curl, x]", '[CMD-SHELL, "curl x"]', "[NONE]", "[]"])
def test_a_health_test_in_dockers_form_is_taken(test: str, tmp_path: Path) -> None:
    assert problems(tmp_path, h=host(), s=container(f"healthcheck: {{test: {test}}}")) == ()


def test_a_health_test_holds_nothing_that_is_known_only_later(tmp_path: Path) -> None:
    found = problems(tmp_path, h=host(), s=container('healthcheck: {test: [CMD, "${host.home}"]}'))
    told(found, "E_INTERPOLATION")


def test_nothing_can_be_healthy_without_a_health_check(tmp_path: Path) -> None:
    probe = "  readiness: {up: {health: {container: main}}}\n"
    gone = sandbox(container="image: web:1\n      healthcheck: {test: [NONE]}", rest=probe)
    assert "[NONE]" in told(problems(tmp_path, h=host(), s=gone), "E_CONFLICT").message
    assert problems(tmp_path, h=host(), s=sandbox(rest=probe)) == ()


@pytest.mark.parametrize(
    "until",
    [
        "yesterday",
        "2030-01-31",
        "2030-01-31T18:00:00",
        "2030-01-31T18:00Z",
        "2030-02-31T18:00:00Z",
        "20300131T180000Z",
        "",
    ],
)
def test_a_suspension_ends_at_a_moment_or_never(until: str, tmp_path: Path) -> None:
    suspended = f'  suspend: {{reason: x, until: "{until}"}}\n'
    told(problems(tmp_path, h=host(rest=suspended)), "E_TYPE")
    told(problems(tmp_path, h=host(), s=sandbox(rest=suspended)), "E_TYPE")


@pytest.mark.parametrize("until", ["2030-01-31T18:00:00Z", "2030-01-31t18:00:00.5z", "2030-01-31 18:00:00+01:00"])
def test_a_moment_has_its_zone(until: str, tmp_path: Path) -> None:
    found = documents(tmp_path, h=host(rest=f'  suspend: {{reason: x, until: "{until}"}}\n'))
    suspended = found.hosts["h1"].spec.suspend
    assert suspended is not None
    assert suspended.until == until.upper()


@pytest.mark.parametrize(
    ("port", "ok"),
    [
        ("host: 22, bind: 0.0.0.0", False),
        ('host: 22, bind: "::"', False),
        ("host: 22, bind: 10.0.0.1", False),
        ("host: 22, bind: 10.0.0.2", True),
        ("host: 22", True),
        ("host: 22, bind: 0.0.0.0, protocol: udp", True),
        ("host: 2222, bind: 0.0.0.0", True),
    ],
)
def test_no_container_takes_the_port_that_we_come_in_by(port: str, ok: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a table
    found = problems(tmp_path, h=host(), s=container(f"ports: {{ssh: {{container: 22, {port}}}}}"))
    assert (not found) == ok
    elsewhere = container(f"ports: {{ssh: {{container: 22, {port.replace('22', '2222', 1)}}}}}")
    assert (not problems(tmp_path, h=host(ssh=", port: 2222"), s=elsewhere)) == (ok and "host: 2222," not in port)


def test_an_entrypoint_names_a_program(tmp_path: Path) -> None:
    for text in ('[""]', '["", x]'):
        assert "[]" in (told(problems(tmp_path, h=host(), s=container(f"entrypoint: {text}")), "E_COMMAND").hint or "")
    assert problems(tmp_path, h=host(), s=container("entrypoint: []")) == ()
    assert problems(tmp_path, h=host(), s=container('command: [""]')) == ()


@pytest.mark.parametrize("field", ["entrypoint", "command"])
def test_a_word_is_no_longer_than_a_kernel_takes(field: str, tmp_path: Path) -> None:
    told(problems(tmp_path, h=host(), s=container(f"{field}: [a, {'x' * 131_072}]")), "E_COMMAND")
    assert problems(tmp_path, h=host(), s=container(f"{field}: [a, {'x' * 131_071}]")) == ()


# Content of files -----------------------------------------------------------------------------------------------------

PROFILE = """\
apiVersion: reconciler/v1
kind: Profile
metadata: {name: base}
spec:
  sandbox:
    containers: {main: {image: "web:1", env: {A: a, B: b}}}
    files:
      j: {path: j, mode: "0600", format: json, content: {keep: 1, gone: 2, deep: {keep: 1, gone: null}}}
"""


def test_a_null_in_a_files_content_is_a_value(tmp_path: Path) -> None:
    content = "{a: null, b: {c: null, d: [null, {e: null}]}, f: }"
    rest = f"  files: {{j: {{path: j, format: json, content: {content}}}}}\n"
    text = documents(tmp_path, h=host(), s=sandbox(rest=rest)).sandboxes["web"].spec.files["j"].content
    assert json.loads(str(text)) == {"a": None, "b": {"c": None, "d": [None, {"e": None}]}, "f": None}


def test_a_null_over_a_profiles_content_is_a_value_and_elsewhere_removes(tmp_path: Path) -> None:
    rest = "  profile: base\n  files: {j: {mode: null, content: {gone: null, deep: {more: null}}}}\n"
    found = documents(tmp_path, h=host(), p=PROFILE, s=sandbox(container="env: {A: null}", rest=rest))
    spec = found.sandboxes["web"].spec
    assert json.loads(str(spec.files["j"].content)) == {
        "keep": 1,
        "gone": None,
        "deep": {"keep": 1, "gone": None, "more": None},
    }
    assert spec.files["j"].mode == "0640"
    assert spec.containers["main"].env == {"B": "b"}


def test_a_file_or_container_named_content_is_no_content(tmp_path: Path) -> None:
    rest = "  files: {content: {path: c, mode: null, content: null}}\n"
    spec = documents(
        tmp_path, h=host(), s=sandbox(container="image: web:1\n      env: {content: null}", rest=rest)
    ).sandboxes
    assert spec["web"].spec.files["content"].mode == "0640"
    assert spec["web"].spec.containers["main"].env == {}


def test_a_variable_in_an_env_file_has_a_value(tmp_path: Path) -> None:
    rest = "  files: {e: {path: e, format: env, content: {A: null}}}\n"
    assert 'write ""' in (told(problems(tmp_path, h=host(), s=sandbox(rest=rest)), "E_ENV").hint or "")


def test_a_secret_in_an_env_file_must_be_one_line_and_elsewhere_need_not(tmp_path: Path) -> None:
    fleet = f"{FLEET}spec: {{secrets: {{key: {{file: /etc/key}}}}}}\n"
    rest = (
        '  files:\n    e: {path: e, format: env, content: {A: "${secret:key}", B: "${run.id}"}}\n'
        '    t: {path: t, content: "${secret:key}"}\n'
    )
    desired = lower(documents(tmp_path, fleet=fleet, h=host(), s=sandbox(rest=rest)))
    files = {item.name: item for item in desired.sandboxes["web"].resources if isinstance(item, File)}
    late = Late("secret:key", one_line=True)
    assert files["e"].content == Template(("A=", late, "\nB=", Late("run.id"), "\n"))
    assert files["t"].content == Template((Late("secret:key"),))
