from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.load import load
from reconciler.model.problem import SpecInvalid
from reconciler.model.text import Late, Template
from tests.unit.load.bad_specs import codes, documents, host, problems, sandbox

ROOT = Path(__file__).parents[3]

PROFILES = """\
apiVersion: reconciler/v1
kind: Profile
metadata: {name: lowest}
spec:
  inputs:
    properties: {image: {type: string, default: "a:1"}, port: {type: integer, default: 80}}
  sandbox:
    containers:
      main:
        image: "${inputs.image}"
        command: [one, two]
        env: {A: lowest, B: lowest, C: lowest}
        ports: {web: {container: "${inputs.port}"}}
---
apiVersion: reconciler/v1
kind: Profile
metadata: {name: middle}
spec:
  extends: lowest
  sandbox: {containers: {main: {env: {B: middle, C: middle}}}}
"""


def test_the_example_fleet_loads() -> None:
    found = load(ROOT / "specs", cache=False)
    assert found.fleet.name == "lab"
    assert set(found.hosts) == {"h1", "h2"}
    assert set(found.sandboxes) == {"web-1", "web-2", "shop", "worker"}
    assert found.sandboxes["web-1"].spec.containers["main"].env["GREETING"] == "hello from web-1 on h1"


def test_maps_merge_lists_replace_and_null_removes(tmp_path: Path) -> None:
    rest = "  profile: middle\n"
    top = "command: [three]\n      env: {A: null, C: top, D: top}"
    found = documents(tmp_path, h=host(), p=PROFILES, s=sandbox(container=top, rest=rest))
    main = found.sandboxes["web"].spec.containers["main"]
    assert main.env == {"B": "middle", "C": "top", "D": "top"}
    assert main.command == ("three",)
    assert main.image == "a:1"
    assert found.profiles["middle"].chain == ("middle", "lowest")


def test_each_field_points_at_the_line_that_said_it(tmp_path: Path) -> None:
    rest = "  profile: middle\n  inputs: {port: 81}\n"
    found = documents(tmp_path, h=host(), p=PROFILES, s=sandbox(container="env: {C: top}", rest=rest))
    origins = {field: (Path(at.file).name, at.line) for field, at in found.sandboxes["web"].origins.items()}
    assert origins["containers.main.env.A"] == ("p.yaml", 12)
    assert origins["containers.main.env.B"] == ("p.yaml", 20)
    assert origins["containers.main.env.C"] == ("s.yaml", 8)
    assert origins["containers.main.image"] == ("p.yaml", 6)
    assert origins["containers.main.ports.web.container"] == ("s.yaml", 10)


def test_a_whole_input_keeps_its_type(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        h=host(),
        p=PROFILES,
        s=sandbox(container="env: {}", rest='  profile: lowest\n  inputs: {port: "81"}\n'),
    )
    assert [(problem.code, problem.at.line) for problem in found] == [("E_INPUT", 10)]


def test_late_values_stay_symbolic_and_an_escape_is_text(tmp_path: Path) -> None:
    env = 'image: a\n      env: {RUN: "r-${run.id}", HOME: "${host.home}", TEXT: "$${run.id}", ROOT: "${storage.data}"}'
    main = documents(tmp_path, h=host(), s=sandbox(container=env)).sandboxes["web"].spec.containers["main"]
    assert main.env == {
        "RUN": Template(("r-", Late("run.id"))),
        "HOME": Template((Late("host.home"),)),
        "TEXT": "${run.id}",
        "ROOT": "/srv/data",
    }


@pytest.mark.parametrize("field", ["image: a:${run.id}", "image: a\n      user: ${run.id}"])
def test_late_values_are_refused_where_they_cannot_be_bound(field: str, tmp_path: Path) -> None:
    assert "E_INTERPOLATION" in codes(problems(tmp_path, h=host(), s=sandbox(container=field)))


def test_secrets_are_named_and_never_read(tmp_path: Path) -> None:
    fleet = (
        "apiVersion: reconciler/v1\nkind: Fleet\nmetadata: {name: lab}\n"
        "spec: {secrets: {db: {file: /does/not/exist}}}\n"
    )
    env = 'image: a\n      env: {P: "${secret:db}"}'
    found = documents(tmp_path, fleet=fleet, h=host(), s=sandbox(container=env))
    assert found.sandboxes["web"].spec.containers["main"].env["P"] == Template((Late("secret:db"),))


def test_free_keys_are_ignored_among_fields_and_are_names_among_names(tmp_path: Path) -> None:
    text = "image: a\n      x-note: {any: [thing]}\n      env: {x_note: kept}\n    x-side: {image: b}"
    found = documents(tmp_path, h=host(), s=sandbox(container=text, rest="  x-more: 1\n"))
    assert set(found.sandboxes["web"].spec.containers) == {"main", "x-side"}


def test_files_are_rendered_in_one_canonical_form(tmp_path: Path) -> None:
    files = (
        "  files:\n    j: {path: j, format: json, content: {b: [1, true, null, 1.5], a: text}}\n"
        '    e: {path: e, format: env, content: {B: "2", A: "${run.id}"}}\n'
    )
    spec = documents(tmp_path, h=host(), s=sandbox(rest=files)).sandboxes["web"].spec
    assert spec.files["j"].content == ('{\n  "a": "text",\n  "b": [\n    1,\n    true,\n    null,\n    1.5\n  ]\n}\n')
    assert spec.files["e"].content == Template(("A=", Late("run.id"), "\nB=2\n"))


def test_units_come_out_in_bytes_seconds_and_milliseconds(tmp_path: Path) -> None:
    limits = "resources: {memory: 512MiB, cpus: 1.5}"
    text = f"image: a\n      {limits}\n      stopGrace: 2m\n      healthcheck: {{interval: 1500ms}}"
    found = documents(tmp_path, h=host(), s=sandbox(container=text, rest="  ttl: 1d\n")).sandboxes["web"].spec
    main = found.containers["main"]
    assert (main.resources.memory, main.resources.cpus, main.stop_grace) == (512 * 2**20, 1.5, 120)
    assert main.healthcheck is not None
    assert main.healthcheck.interval == 1500
    assert (found.ttl, main.resources.pids, main.init, main.restart) == (86400, 4096, True, None)


def test_two_fleets_and_no_fleet_are_refused(tmp_path: Path) -> None:
    other = "apiVersion: reconciler/v1\nkind: Fleet\nmetadata: {name: other}\n"
    assert codes(problems(tmp_path, g=other)) == {"E_FLEET"}
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, code in (
        (empty, "E_SPEC_EMPTY"),
        (tmp_path / "none", "E_SPEC_DIR"),
        (tmp_path / "g.yaml", "E_SPEC_DIR"),
    ):
        with pytest.raises(SpecInvalid) as refused:
            load(folder, cache=False)
        assert [problem.code for problem in refused.value.problems] == [code]


def test_a_fleets_own_profile_wins_over_the_installed_one(tmp_path: Path) -> None:
    own = (
        "apiVersion: reconciler/v1\nkind: Profile\nmetadata: {name: service}\n"
        "spec: {sandbox: {containers: {main: {image: own}}}}\n"
    )
    found = documents(tmp_path, h=host(), p=own, s=sandbox(container="env: {}", rest="  profile: service\n"))
    assert found.sandboxes["web"].spec.containers["main"].image == "own"


def test_an_input_schema_fetches_nothing(tmp_path: Path) -> None:
    remote = (
        "apiVersion: reconciler/v1\nkind: Profile\nmetadata: {name: remote}\n"
        'spec: {inputs: {properties: {a: {$ref: "https://schemas.invalid/a"}}}}\n'
    )
    assert codes(problems(tmp_path, p=remote)) == {"E_INPUTS_SCHEMA"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("image: a\n      run: once\n      restart: always", "E_CONFLICT"),
        ("image: a\n      networkMode: none\n      ports: {web: {container: 80}}", "E_CONFLICT"),
        ("image: a\n      ports: {x: {container: 80}, z: {container: 80}}", "E_PORT_DUP"),
        ("image: a\n      ports: {web: {container: 0}}", "E_PORT"),
        ("image: a\n      ports: {web: {container: 70000}}", "E_PORT"),
        ("image: a\n      env: {1X: a}", "E_ENV"),
        ("image: a\n      labels: {dev.reconciler.fleet: x}", "E_LABEL_RESERVED"),
        ("image: a\n      resources: {memory: 1B}", "E_RANGE"),
        ("image: a\n      resources: {memory: -1}", "E_RANGE"),
        ("image: a\n      resources: {memory: 5 potatoes}", "E_UNIT"),
        ("image: a\n      resources: {cpus: 0}", "E_RANGE"),
        ("image: a\n      mounts: {/x: {path: /var/run/docker.sock}}", "E_POLICY_MOUNT"),
        ("image: a\n      mounts: {/proc/x: {path: /srv/data/x}}", "E_MOUNT_TARGET"),
        ("image: a\n      mounts: {/a/../b: {path: /srv/data/x}}", "E_MOUNT_TARGET"),
        ("image: a\n      dependsOn: [main]", "E_REF_CYCLE"),
        ("image: a\n      extraHosts: {db: 10.0.0}", "E_IP_ADDR"),
        ("image: a\n      ulimits: {nofile: {soft: 2, hard: 1}}", "E_RANGE"),
        ("image: a\n      gpu: {count: 0}", "E_RANGE"),
        ("image: a\n      gpu: {cuda: 12.9}", "E_YAML_AMBIGUOUS"),
        ('image: a\n      gpu: {cuda: "12"}', "E_VALUE"),
        ("image: a\n      gpu: {policy: off}", "E_YAML_AMBIGUOUS"),
    ],
)
def test_a_container_that_cannot_be_is_refused(text: str, code: str, tmp_path: Path) -> None:
    assert codes(problems(tmp_path, h=host(), s=sandbox(container=text))) == {code}


@pytest.mark.parametrize(
    ("path", "ok"),
    [
        ("cache", True),
        ("${storage.data}/web", True),
        ("/srv/data/web", True),
        ("${storage.data}", False),
        ("/srv/database", False),
        ("${host.home}/x", False),
        ("../up", False),
        ("/opt/x", False),
    ],
)
def test_directories_stay_inside_what_is_ours(path: str, ok: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a table
    found = problems(tmp_path, h=host(), s=sandbox(rest=f'  directories: {{d: {{path: "{path}"}}}}\n'))
    assert (not found) == ok, found


def test_policy_lifts_a_denial_for_one_profile(tmp_path: Path) -> None:
    fleet = (
        "apiVersion: reconciler/v1\nkind: Fleet\nmetadata: {name: lab}\n"
        "spec: {policy: {allow: [{profile: wide, hostNetwork: true, capAdd: [SYS_ADMIN]}]}}\n"
    )
    wide = (
        "apiVersion: reconciler/v1\nkind: Profile\nmetadata: {name: wide}\n"
        "spec: {sandbox: {containers: {main: {networkMode: host, capAdd: [SYS_ADMIN]}}}}\n"
    )
    found = documents(tmp_path, fleet=fleet, h=host(), p=wide, s=sandbox(rest="  profile: wide\n"))
    assert found.sandboxes["web"].spec.containers["main"].cap_add == ("SYS_ADMIN",)


@pytest.mark.parametrize("root", ["/", "/etc", "/tmp", "/usr/share", "/var/lib/docker", "relative", "/srv/../x"])
def test_a_storage_root_is_no_folder_of_the_system(root: str, tmp_path: Path) -> None:
    found = problems(tmp_path, h=host().replace("/srv/data", root))
    assert codes(found) <= {"E_STORAGE_ROOT", "E_PATH"}
    assert found


def test_a_password_in_a_fleet_is_a_reference(tmp_path: Path) -> None:
    fleet = (
        "apiVersion: reconciler/v1\nkind: Fleet\nmetadata: {name: lab}\nspec:\n"
        "  secrets: {hub: {file: /etc/reconciler/hub}}\n"
        '  registries: [{host: r.example, username: u, password: "PASSWORD"}]\n'
    )
    known = documents(tmp_path, fleet=fleet.replace("PASSWORD", "${secret:hub}"))
    assert known.fleet.spec.registries[0].password == Template((Late("secret:hub"),))
    (tmp_path / "fleet.yaml").write_text(fleet.replace("PASSWORD", "hunter2"))
    with pytest.raises(SpecInvalid) as refused:
        load(tmp_path, cache=False)
    assert "hunter2" not in str(refused.value.problems)
    assert codes(refused.value.problems) == {"E_SECRET_LITERAL"}
