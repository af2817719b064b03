"""What a Fleet may say of telemetry: every type has its own fields, and nothing that is wrong waits for a pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.load.lower import lower
from reconciler.model.desired import SinkDesired
from reconciler.model.problem import Problem
from reconciler.model.text import Late, Template
from tests.unit.load.bad_specs import documents, problems

HEAD = """\
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: lab}
spec:
  secrets: {hub-token: {file: /etc/reconciler/hub-token}}
  telemetry:
    sinks:
"""
TOKEN = Template((Late("secret:hub-token"),))


def lowered(folder: Path, *sinks: str) -> tuple[SinkDesired, ...]:
    return lower(documents(folder, fleet=with_sinks(*sinks))).telemetry


def with_sinks(*sinks: str) -> str:
    return HEAD + "".join(f"      - {sink}\n" for sink in sinks)


def told(folder: Path, *sinks: str) -> Problem:
    """Give the one problem of these sinks; it stands in their lines."""
    (problem,) = problems(folder, fleet=with_sinks(*sinks))
    assert problem.field.startswith("spec.telemetry.sinks")
    return problem


def test_every_type_is_lowered_with_what_was_left_out(tmp_path: Path) -> None:
    assert lowered(
        tmp_path,
        "{type: file}",
        '{type: stateHub, url: "https://hub.example/", token: "${secret:hub-token}"}',
        "{type: stateHub, name: second, url: https://b.example, workstream: ws, path: v2/in, fields: {team: blue}}",
        "{type: prometheus, folder: /var/lib/prom}",
        '{type: archive_s3, options: {bucket: logs, key: "${secret:hub-token}"}}',
    ) == (
        SinkDesired(type="file", name="file", workstream="lab", path="progress/"),
        SinkDesired(
            type="stateHub",
            name="stateHub",
            url="https://hub.example/",
            workstream="lab",
            path="progress/",
            token=TOKEN,
        ),
        SinkDesired(
            type="stateHub",
            name="second",
            url="https://b.example",
            workstream="ws",
            path="v2/in",
            fields={"team": "blue"},
        ),
        SinkDesired(type="prometheus", name="prometheus", workstream="lab", path="progress/", folder="/var/lib/prom"),
        SinkDesired(
            type="archive_s3",
            name="archive_s3",
            workstream="lab",
            path="progress/",
            options={"bucket": "logs", "key": TOKEN},
        ),
    )


@pytest.mark.parametrize(
    ("sink", "code", "col", "says"),
    [
        ("{type: stateHub}", "E_REQUIRED", 9, "a sink of type stateHub needs url"),
        ("{type: prometheus}", "E_REQUIRED", 9, "a sink of type prometheus needs folder"),
        ("{name: x}", "E_REQUIRED", 9, "type is required here"),
        ("{type: statehub}", "E_VALUE", 16, "`statehub` is no type of sink"),
        ("{type: promethius}", "E_VALUE", 16, "`promethius` is no type of sink"),
        ("{type: ../x}", "E_NAME", 16, "`../x` is no type of sink"),
        ("{type: file, name: a/b}", "E_NAME", 28, "`a/b` is no name of a sink"),
        ("{type: file, folder: /x}", "E_CONFLICT", 30, "folder is for type prometheus, and this sink is of type file"),
        ("{type: file, token: '${secret:hub-token}'}", "E_CONFLICT", 29, "token is for type stateHub"),
        ("{type: file, options: {a: b}}", "E_CONFLICT", 22, "options are for sinks of other packages"),
        ("{type: archive, url: https://h/}", "E_CONFLICT", 30, "url is for type stateHub"),
        ("{type: stateHub, url: ftp://h/}", "E_URL", 31, "is no http or https URL"),
        ("{type: stateHub, url: https://u:p@h/}", "E_URL", 31, "is no http or https URL without user and password"),
        ("{type: stateHub, url: https://h/, path: 'a?b'}", "E_URL", 49, "is no path of a URL"),
        ("{type: stateHub, url: https://h/, token: abc}", "E_SECRET_LITERAL", 50, "a secret never stands in a spec"),
        ("{type: archive, options: {api-key: abcdefgh}}", "E_SECRET_LITERAL", 25, "`api-key` is a secret by its name"),
        ("{type: archive, options: {a: 'x${secret:hub-token}'}}", "E_INTERPOLATION", 38, "nothing else"),
        ("{type: archive, options: {a: '${secret:hub-tokn}'}}", "E_INTERPOLATION", 38, "no secret hub-tokn"),
        ("{type: stateHub, url: https://h/, fields: {a: '${secret:hub-token}'}}", "E_INTERPOLATION", 55, "not known"),
        ("{type: prometheus, folder: relative}", "E_PATH", 36, "is no absolute path"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_where_it_stands(tmp_path: Path, sink: str, code: str, col: int, says: str) -> None:
    problem = told(tmp_path, "{type: file, name: first}", sink)
    assert (problem.code, problem.at.line, problem.at.col) == (code, 9, col), problem
    assert says in problem.message


def test_two_sinks_of_one_name_are_refused(tmp_path: Path) -> None:
    problem = told(tmp_path, "{type: file}", "{type: archive, name: file}")
    assert (problem.code, problem.at.line) == ("E_DUPLICATE", 7)
    assert "two sinks are called `file`" in problem.message


@pytest.mark.parametrize("url", ["http://hub.example/", "http://10.0.0.8:8000", "http://127.0.0.1.example"])
def test_a_token_does_not_cross_a_network_in_plain_text(tmp_path: Path, url: str) -> None:
    problem = told(tmp_path, f'{{type: stateHub, url: "{url}", token: "${{secret:hub-token}}"}}')
    assert problem.code == "E_URL"
    assert "in plain text" in problem.message


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost", "http://127.9.9.9", "https://hub.example"]
)
def test_a_token_may_go_to_this_machine_and_through_tls(tmp_path: Path, url: str) -> None:
    (sink,) = lowered(tmp_path, f'{{type: stateHub, url: "{url}", token: "${{secret:hub-token}}"}}')
    assert sink.token == TOKEN


def test_without_a_token_plain_http_is_nobody_elses_business(tmp_path: Path) -> None:
    (sink,) = lowered(tmp_path, "{type: stateHub, url: http://hub.example}")
    assert sink.token is None
