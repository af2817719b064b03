"""What people write from habit, from another tool or in haste: one clear line with a place, or exactly as written."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.load.lower import lower
from tests.unit.load.bad_specs import FLEET, documents, host, problems, sandbox
from tests.unit.load.test_places import told

SCHEMA = """\
apiVersion: reconciler/v1
kind: Profile
metadata: {name: pp}
spec:
  inputs: {properties: {image: {type: string}, note: {type: string}, port: {type: integer, default: 80}}}
  sandbox: {containers: {main: {image: "web:1"}}}
"""
SECRET = "secrets: {a: {file: /etc/a}}"
LOGIN = '{host: r.io, username: u, password: "${secret:a}"}'


def container(text: str) -> str:
    return sandbox(container=f"image: web:1\n      {text}")


def profiled(inputs: str) -> str:
    return (
        "apiVersion: reconciler/v1\nkind: Sandbox\nmetadata: {name: web}\n"
        f"spec: {{host: h1, profile: pp, inputs: {inputs}}}\n"
    )


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("ports: [80]", "E_TYPE", "write {web: {container: 80, host: 8080}}"),
        ('ports: "8080:80"', "E_TYPE", "write {web: {container: 80, host: 8080}}"),
        ("ports: {web: 80}", "E_TYPE", "write {container: 80}"),
        ('ports: {web: {container: 80, host: "8080"}}', "E_TYPE", "remove the quotes"),
        ("ports: {web: {container: 80, host: ~}}", "E_TYPE", "write digits"),
        ("ports: {web: {container: 80, bind: localhost}}", "E_IP_ADDR", "127.0.0.1"),
        ("env: [A=1]", "E_TYPE", 'write {NAME: "value"}'),
        ("env: {A: 1}", "E_YAML_AMBIGUOUS", 'write "1"'),
        ("env: {A: ~}", "E_YAML_AMBIGUOUS", 'write "~", or null for nothing'),
        ("volumes: [data:/data]", "E_TYPE", "write {data: /path/inside}"),
        ("networks: [inside]", "E_TYPE", "write {inside: {}}"),
        ("command: [sleep, 10]", "E_YAML_AMBIGUOUS", 'write "10"'),
        ("resources: {memory: 4G}", "E_UNIT", "512MiB"),
        ('resources: {cpus: "2"}', "E_TYPE", "remove the quotes"),
        ("stopGrace: 500ms", "E_UNIT", "write 1s or more"),
        ("ulimits: {nofile: 1024}", "E_TYPE", "write {soft: 1024, hard: 4096}"),
        ("capAdd: [CAP_NET_ADMIN]", "E_CAPABILITY", "write NET_ADMIN"),
        ("capAdd: [net_admin]", "E_CAPABILITY", "write NET_ADMIN"),
        ("capAdd: [SYS_ADMN]", "E_CAPABILITY", "write SYS_ADMIN"),
        ("capAdd: [ALL]", "E_CAPABILITY", "ALL is never given"),
        ('devices: ["/dev/fuse:fuse"]', "E_PATH", "/dev/fuse:/dev/inside"),
        ('devices: ["/dev/fuse:/dev/fuse:x"]', "E_PATH", "/dev/fuse:/dev/inside"),
        ('extraHosts: {"a:1.2.3.4 b": 10.0.0.1}', "E_NAME", "/etc/hosts"),
        ("extraHosts: {db: host-gateway}", "E_IP_ADDR", "127.0.0.1"),
        ("mounts: {/x: {directory: a, path: /srv/data/x}}", "E_ONE_OF", "keep one of them"),
        ("gpu: false", "E_TYPE", "policy"),
    ],
)
def test_a_habit_gets_the_form_that_is_wanted(text: str, code: str, hint: str, tmp_path: Path) -> None:
    assert hint in (told(problems(tmp_path, h=host(), s=container(text)), code).hint or "")


@pytest.mark.parametrize(
    ("rest", "code", "hint"),
    [
        ("files: {a: {path: a, mode: 644}}", "E_YAML_AMBIGUOUS", 'write "0644"'),
        ('files: {a: {path: a, format: json, content: "{}"}}', "E_TYPE", "take `format: json` away"),
        ("files: {a: {path: a, format: env, content: {A: 'x\n\n      y'}}}", "E_ENV", "as text"),
        ("readiness: {up: {exec: {container: main, command: []}}}", "E_COMMAND", "write [program, words…]"),
        ('readiness: {up: {exec: {container: main, command: [""]}}}', "E_COMMAND", "write [program, words…]"),
        ('readiness: {up: {exec: {container: main, command: [x, "${run.id}"]}}}', "E_INTERPOLATION", "in env"),
        ("readiness: {http: true}", "E_TYPE", "write {http: {container: main, port: web}}"),
        ("suspend: true", "E_TYPE", "write {reason: …}"),
    ],
)
def test_a_habit_of_sandboxes_gets_the_form_that_is_wanted(rest: str, code: str, hint: str, tmp_path: Path) -> None:
    assert hint in (told(problems(tmp_path, h=host(), s=sandbox(rest=f"  {rest}\n")), code).hint or "")


@pytest.mark.parametrize(
    ("spec", "code", "hint"),
    [
        ("limits: {removalsPerPlan: 30}", "E_UNIT", '"0%" to "100%"'),
        ("policy: {allow: [{profile: x, capAdd: [CAP_SYS_ADMIN]}]}", "E_CAPABILITY", "write SYS_ADMIN"),
        (
            f'{SECRET}, registries: [{{host: "https://r.example/v2/", username: u, password: "${{secret:a}}"}}]',
            "E_REGISTRY",
            "registry.example",
        ),
        (
            f'{SECRET}, registries: [{{host: r, username: u, password: "${{secret:a}}"}}]',
            "E_REGISTRY",
            "docker.io",
        ),
        (
            f"{SECRET}, registries: [{LOGIN}, {LOGIN}]",
            "E_DUPLICATE",
            "one login",
        ),
        ("secrets: {a: /etc/a}", "E_TYPE", "write {file: /path}"),
    ],
)
def test_a_habit_of_fleets_gets_the_form_that_is_wanted(spec: str, code: str, hint: str, tmp_path: Path) -> None:
    assert hint in (told(problems(tmp_path, fleet=f"{FLEET}spec: {{{spec}}}\n", h=host()), code).hint or "")


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("Kind: Sandbox\n", "E_SPEC_KIND", "write kind: instead of Kind:"),
        ("kind: [Sandbox]\n", "E_SPEC_KIND", "one of Fleet"),
        ("a: @b\n", "E_YAML_SYNTAX", "quote a value"),
        ("a:\n  b: 1\n c: 2\n", "E_YAML_SYNTAX", "as its neighbours are"),
        ("{{- if .Values.x }}\na: b\n{{- end }}\n", "E_YAML_SYNTAX", "templates are not rendered here"),
        ("a: {{ b }}\n", "E_YAML_KEY", "templates"),
    ],
)
def test_a_file_of_another_kind_is_recognised(text: str, code: str, hint: str, tmp_path: Path) -> None:
    assert hint in (told(problems(tmp_path, h=host(), x=text), code).hint or "")


@pytest.mark.parametrize("text", ["\ufeff{}", "{}", "# note\n{}", "---\n{}\n...\n"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_marks_line_ends_and_comments_change_nothing(text: str, ends: str, tmp_path: Path) -> None:
    whole = text.replace("{}", sandbox()).replace("\n", ends)
    assert set(documents(tmp_path, h=host(), s=whole.encode()).sandboxes) == {"web"}


def test_a_mistake_deep_in_content_has_its_own_place(tmp_path: Path) -> None:
    rest = "  files:\n    a:\n      path: a\n      format: json\n      content:\n        deep: {x: 1_000}\n"
    problem = told(problems(tmp_path, h=host(), s=sandbox(rest=rest)), "E_YAML_AMBIGUOUS")
    assert (problem.at.line, problem.at.col) == (14, 19)


def test_a_wrong_format_is_told_once(tmp_path: Path) -> None:
    rest = "  files: {a: {path: a, format: yaml, content: {a: b}}}\n"
    assert [p.code for p in problems(tmp_path, h=host(), s=sandbox(rest=rest))] == ["E_VALUE"]


@pytest.mark.parametrize("host_field", ['"${inputs.x}"', '"${x}"'])
def test_what_a_gap_would_have_been_is_not_complained_of(host_field: str, tmp_path: Path) -> None:
    assert [p.code for p in problems(tmp_path, h=host(), s=sandbox(on=host_field))] == ["E_INTERPOLATION"]


def test_an_unknown_profile_is_told_alone(tmp_path: Path) -> None:
    bare = "apiVersion: reconciler/v1\nkind: Sandbox\nmetadata: {name: web}\nspec: {host: h1, profile: servce}\n"
    assert "service" in (told(problems(tmp_path, h=host(), s=bare), "E_REF").hint or "")


def test_words_said_twice_are_meant_once(tmp_path: Path) -> None:
    fleet = f"{FLEET}spec: {{policy: {{allow: [{{profile: pp, capAdd: [SYS_TIME], devices: [/dev/rtc]}}]}}}}\n"
    twice = "capAdd: [SYS_TIME, SYS_TIME], devices: [/dev/rtc, /dev/rtc], dependsOn: [other, other]"
    s = (
        "apiVersion: reconciler/v1\nkind: Sandbox\nmetadata: {name: web}\n"
        f"spec: {{host: h1, profile: pp, containers: {{main: {{{twice}}}, other: {{image: a}}}}}}\n"
    )
    main = lower(documents(tmp_path, fleet=fleet, h=host(), p=SCHEMA, s=s)).sandboxes["web"].containers[0]
    assert (main.cap_add, main.devices, main.after) == (("SYS_TIME",), ("/dev/rtc",), ("other",))


def test_an_account_may_have_a_dot(tmp_path: Path) -> None:
    assert problems(tmp_path, h=host(user="anna.b")) == ()


# Nothing is lost without a word -----------------------------------------------------------------------------------


def test_an_input_that_nobody_declared_is_no_text(tmp_path: Path) -> None:
    profile = SCHEMA.replace("web:1", "${inputs.imgae}")
    problem = told(problems(tmp_path, h=host(), p=profile, s=profiled("{image: a}")), "E_INTERPOLATION")
    assert problem.hint == "did you mean ${inputs.image}?"


def test_an_input_without_a_value_is_no_text(tmp_path: Path) -> None:
    profile = SCHEMA.replace("web:1", "${inputs.note}:1")
    problem = told(problems(tmp_path, h=host(), p=profile, s=profiled("{image: a}")), "E_INTERPOLATION")
    assert problem.message == "${inputs.note} has no value"
    assert problems(tmp_path, h=host(), p=profile, s=profiled("{note: a}")) == ()


def test_a_required_input_that_is_missing_is_told_once(tmp_path: Path) -> None:
    profile = SCHEMA.replace("inputs: {", "inputs: {required: [image], ").replace("web:1", "${inputs.image}")
    problem = told(problems(tmp_path, h=host(), p=profile, s=profiled("{}")), "E_INPUT")
    assert problem.hint == "write inputs: {image: …}"


@pytest.mark.parametrize("inputs", ["[image]", "image"])
def test_inputs_that_are_no_mapping_are_refused(inputs: str, tmp_path: Path) -> None:
    told(problems(tmp_path, h=host(), p=SCHEMA, s=profiled(inputs)), "E_TYPE")


@pytest.mark.parametrize("key", ["profile: service", "inputs: {a: b}"])
def test_a_profile_says_nothing_that_would_be_ignored(key: str, tmp_path: Path) -> None:
    profile = SCHEMA.replace("sandbox: {", f"sandbox: {{{key}, ")
    told(problems(tmp_path, h=host(), p=profile, s=profiled("{image: a}")), "E_CONFLICT")


# Schemas of inputs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ('{properties: {image: {type: string, pattern: "["}}}', "no regular expression"),
        ('{properties: {image: {type: string, pattern: "(?=a)"}}}', "no regular expression"),
        ('{properties: {image: {$ref: "#/nope"}}}', "there is no #/nope"),
        ('{properties: {image: {$ref: "#nope"}}}', "there is no #nope"),
        ('{properties: {image: {$ref: "#/properties/image"}}}', "without end"),
        ('{properties: {image: {$ref: "other.json"}}}', "nothing outside itself"),
        ('{properties: {image: {$id: "http://x.invalid/", $ref: "#/a"}}}', "$id is not used"),
        ('{properties: {image: {$anchor: a}}, $dynamicRef: "#a"}', "is not used"),
        ('{properties: {image: {type: string}}, patternProperties: {"^(a+)+$": {}}}', "patternProperties is not used"),
        ("{properties: {image: {type: int}}}", "no JSON Schema"),
    ],
)
def test_a_schema_that_cannot_be_applied_is_refused(schema: str, says: str, tmp_path: Path) -> None:
    profile = SCHEMA.replace(
        "{properties: {image: {type: string}, note: {type: string}, port: {type: integer, default: 80}}}", schema
    )
    found = problems(tmp_path, h=host(), p=profile, s=profiled("{image: a}"))
    assert {problem.code for problem in found} == {"E_INPUTS_SCHEMA"}
    assert any(says in problem.message for problem in found), found


def test_a_pattern_costs_no_more_than_the_text_is_long(tmp_path: Path) -> None:
    profile = SCHEMA.replace("note: {type: string}", 'note: {type: string, pattern: "^(a+)+$"}')
    found = problems(tmp_path, h=host(), p=profile, s=profiled(f"{{image: a, note: {'a' * 5000}b}}"))
    assert "pattern" in found[0].message
    assert problems(tmp_path, h=host(), p=profile, s=profiled(f"{{image: a, note: {'a' * 5000}}}")) == ()


def test_schemas_that_double_at_each_step_are_not_followed(tmp_path: Path) -> None:
    doubling = ", ".join(
        f'd{n}: {{allOf: [{{$ref: "#/$defs/d{n + 1}"}}, {{$ref: "#/$defs/d{n + 1}"}}]}}' for n in range(40)
    )
    profile = SCHEMA.replace("note: {type: string}", 'note: {$ref: "#/$defs/d0"}').replace(
        "inputs: {", f"inputs: {{$defs: {{{doubling}, d40: {{type: string}}}}, "
    )
    found = problems(tmp_path, h=host(), p=profile, s=profiled("{image: a, note: b}"))
    assert [problem.code for problem in found] == ["E_INPUTS_SCHEMA"]


def test_a_schema_may_refer_to_its_own_definitions(tmp_path: Path) -> None:
    profile = SCHEMA.replace("note: {type: string}", 'note: {$ref: "#/$defs/word"}').replace(
        "inputs: {", 'inputs: {$defs: {word: {type: string, pattern: "^[a-z]+$"}}, '
    )
    assert problems(tmp_path, h=host(), p=profile, s=profiled("{image: a, note: b}")) == ()
    told(problems(tmp_path, h=host(), p=profile, s=profiled("{image: a, note: B}")), "E_INPUT")
