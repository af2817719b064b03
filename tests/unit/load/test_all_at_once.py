"""One round tells all that is wrong: what two documents or fields lack is told together, and nothing that follows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.load.read import MAX_PROBLEMS
from tests.unit.load.bad_specs import FLEET, KEY, OTHER_KEY, codes, host, problems, sandbox

AWS = "AKIA" + "ABCDEFGHIJKLMNOP"

# Every line keeps its number, whatever is planted: a fault takes the place of what is right in its line.
SANDBOX = {
    "head": "apiVersion: reconciler/v1\nkind: Sandbox\nmetadata:\n  name: web",
    "labels": "  labels: {a: b}",
    "host": "spec:\n  host: h1",
    "dependsOn": "  dependsOn: []",
    "update": "  update: stop-first",
    "keepRuns": "  keepRuns: 5",
    "ttl": "  ttl: 1d",
    "image": "  containers:\n    main:\n      image: web:1",
    "env": "      env: {A: b}",
    "capAdd": "      capAdd: []",
    "user": '      user: "1"',
    "ports": "      ports: {web: {container: 80}}",
    "memory": "      resources: {memory: 64MiB}",
    "mounts": "      mounts: {/d: {directory: d}}",
    "more": "      stopGrace: 10s",
    "after": "      dependsOn: []",
    "side": "    side: {image: web:1}",
    "directories": "  directories: {d: {path: d}}",
    "files": "  files: {f: {path: f, content: x}}",
    "readiness": "  readiness: {up: {tcp: {container: main, port: web}}}",
}
IN_SANDBOX = [
    ("labels", f"  labels: {{a: {AWS}}}", "E_SECRET_LITERAL"),
    ("labels", "  labels: {a: b, a: c}", "E_YAML_DUPKEY"),
    ("host", "spec:\n  host: missing1", "E_REF"),
    ("host", "spec:\n  host: &x h1", "E_YAML_ALIAS"),
    ("dependsOn", "  dependsOn: [nobody]", "E_REF"),
    ("dependsOn", "  dependsOn: [web]", "E_REF_CYCLE"),
    ("update", "  update: sideways", "E_VALUE"),
    ("update", "  updat: stop-first", "E_UNKNOWN_FIELD"),
    ("keepRuns", "  keepRuns: many", "E_TYPE"),
    ("ttl", "  ttl: !span 1d", "E_YAML_TAG"),
    ("ttl", "  yes: 1", "E_YAML_KEY"),
    ("image", "  containers:\n    main:\n      image: UPPER/x", "E_IMAGE_REF"),
    ("image", "  containers:\n    main:\n      image: &a web:1", "E_YAML_ALIAS"),
    ("image", "  containers:\n    main:\n      <<: {}", "E_YAML_MERGE"),
    ("env", "      env: {A: no}", "E_YAML_AMBIGUOUS"),
    ("env", "      env: {1X: a}", "E_ENV"),
    ("env", "      env: {PASSWORD: hunter2}", "E_SECRET_LITERAL"),
    ("env", '      env: {A: "${nothing}"}', "E_INTERPOLATION"),
    ("env", '      env: {A: "${secret:none}"}', "E_INTERPOLATION"),
    ("env", '      env: {A: "\\ud800"}', "E_ENCODING"),
    ("capAdd", "      capAdd: [SYS_ADMIN]", "E_POLICY"),
    ("capAdd", "      capAdd: [SYS_ADMN]", "E_CAPABILITY"),
    ("user", '      user: "root;id"', "E_USER"),
    ("ports", "      ports: {web: {container: 0}}", "E_PORT"),
    ("ports", "      ports: {web: {container: 80, host: 8080}}", "E_PORT_DUP"),
    ("ports", "      ports: [80]", "E_TYPE"),
    ("memory", "      resources: {memory: 5 potatoes}", "E_UNIT"),
    ("mounts", "      mounts: {/d: {directory: other}}", "E_REF"),
    ("mounts", "      mounts: {/d: {path: /etc}}", "E_POLICY_MOUNT"),
    ("mounts", "      mounts: {/proc/x: {directory: d}}", "E_MOUNT_TARGET"),
    ("more", "      privilged: true", "E_UNKNOWN_FIELD"),
    ("more", "      ulimits: {nofile: {soft: 2, hard: 1}}", "E_RANGE"),
    ("after", "      dependsOn: [nowhere]", "E_REF"),
    ("side", "    side: {image: web:1, image: web:2}", "E_YAML_DUPKEY"),
    ("side", "    side: {env: {A: b}}", "E_REQUIRED"),
    ("directories", "  directories: {d: {path: /opt/x}}", "E_PATH_OUTSIDE"),
    ("directories", '  directories: {d: {path: d, mode: "9"}}', "E_MODE"),
    ("files", "  files: {f: {path: a//b, content: x}}", "E_PATH"),
    ("files", "  files: {f: {path: f, content: *c}}", "E_YAML_ALIAS"),
    ("readiness", "  readiness: {up: {tcp: {container: nobody, port: web}}}", "E_REF"),
    ("readiness", "  readiness: {up: {tcp: {container: main, port: web}, timeout: 3}}", "E_UNIT"),
]
HOST = {
    "head": "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: h1}\nspec:",
    "address": "  address: 10.0.0.1",
    "user": "  ssh:\n    user: ops",
    "key": f'    hostKey: "{KEY}"',
    "login": "    agent: true",
    "jump": "    port: 22",
    "roots": "  storageRoots: {data: /srv/data}",
    "socket": "  dockerSocket: /var/run/docker.sock",
    "admission": "  admission: {maxSandboxes: 5}",
}
IN_HOST = [
    ("address", "  address: -x", "E_HOST_ADDR"),
    ("address", "  address: *a", "E_YAML_ALIAS"),
    ("user", '  ssh:\n    user: "root;id"', "E_HOST_USER"),
    ("key", f'    hostkey: "{KEY}"', "E_UNKNOWN_FIELD"),
    ("key", '    hostKey: "MD5:00"', "E_SSH_HOSTKEY_FORMAT"),
    ("key", "    # not pinned", "E_SSH_HOSTKEY_UNPINNED"),
    ("key", f'    hostKey: "{OTHER_KEY}"', "E_SSH_HOSTKEY_SHARED"),
    ("login", "    agent: maybe", "E_TYPE"),
    ("login", "    # no key", "E_KEY_MISSING"),
    ("jump", "    jump: nowhere", "E_REF"),
    ("jump", '    port: "22"', "E_TYPE"),
    ("roots", "  storageRoots: {data: relative}", "E_PATH"),
    ("roots", "  storageRoots: {data: /srv/data, run: /var/run}", "E_STORAGE_ROOT"),
    ("socket", "  dockerSocket: /etc/passwd", "E_DOCKER_SOCKET"),
    ("admission", "  admission: {maxSandboxes: -1}", "E_RANGE"),
    ("admission", f"  admission: {{x-note: {AWS}}}", "E_SECRET_LITERAL"),
]
WITH_SECRET = sandbox(container='image: a\n      env: {A: "${secret:a}"}')
TWO_PORTS = "image: a\n      ports: {a: {container: 53}, b: {container: 53, PROTOCOL}}"
PROBED = "  readiness: {up: {health: {container: db}}}\n"
FOLLOWING: list[tuple[dict[str, str | bytes], list[str]]] = [
    # A host that cannot be read is no host that is not there; nor is what is on it.
    ({"h": host(address="-x"), "s": sandbox()}, ["E_HOST_ADDR"]),
    ({"h": host() + "  x: [", "s": sandbox()}, ["E_YAML_SYNTAX"]),
    ({"h": host().replace("v1", "v9"), "s": sandbox()}, ["E_SPEC_KIND"]),
    ({"h": host().replace("{name: h1}", "{name: h0, name: h1}"), "s": sandbox()}, ["E_YAML_DUPKEY"]),
    ({"h": host().encode("utf-16"), "s": sandbox()}, ["E_ENCODING"]),
    (
        {"h": host(address="-x"), "s": sandbox(container="image: a\n      mounts: {/x: {path: /srv/data/x}}")},
        ["E_HOST_ADDR"],
    ),
    ({"h": host(address="-x"), "s": sandbox().replace("host: h1", "placement: {selector: {a: b}}")}, ["E_HOST_ADDR"]),
    ({"h": host() + "  x: [", "s": sandbox().replace("host: h1", "placement: {}")}, ["E_YAML_SYNTAX"]),
    ({"h": host(ssh=", prot: 23"), "i": host("h2", key=OTHER_KEY)}, ["E_UNKNOWN_FIELD"]),
    (
        {"h": host(rest="  x-a: !t b\n"), "i": "a: [", "s": sandbox().replace("host: h1", "placement: {}")},
        ["E_YAML_TAG", "E_YAML_SYNTAX"],
    ),
    # Nor is a Fleet, with its secrets and its policy.
    ({"fleet": FLEET + "spec: {secrets: {a: [", "s": WITH_SECRET}, ["E_YAML_SYNTAX"]),
    ({"fleet": FLEET + "spec: {secrets: [a]}\n", "s": WITH_SECRET}, ["E_TYPE"]),
    ({"fleet": FLEET + "spec: {secrets: {<<: {}}}\n", "s": WITH_SECRET}, ["E_YAML_MERGE"]),
    (
        {
            "fleet": FLEET + "spec: {policyy: {mounts: [/data]}}\n",
            "s": sandbox(container="image: a\n      mounts: {/x: {path: /data}}"),
        },
        ["E_UNKNOWN_FIELD"],
    ),
    # Nor is a profile, with all that it may say.
    ({"s": sandbox(container="env: {A: b}", rest="  profile: nope\n")}, ["E_REF"]),
    ({"s": sandbox(container="env: {A: b}", rest="  profil: service\n")}, ["E_UNKNOWN_FIELD"]),
    ({"s": sandbox(container="capAdd: [SYS_ADMIN]", rest="  profile: *p\n")}, ["E_YAML_ALIAS"]),
    # What is refused is not also missing.
    ({"s": sandbox().replace("containers:", "contaners:")}, ["E_UNKNOWN_FIELD"]),
    ({"s": sandbox().replace("host:", "hsot:")}, ["E_UNKNOWN_FIELD"]),
    ({"s": sandbox(container="<<: {image: a}")}, ["E_YAML_MERGE"]),
    ({"s": sandbox(container="image: &i a\n      env: {A: *i}")}, ["E_YAML_ALIAS", "E_YAML_ALIAS"]),
    ({"s": sandbox(rest="  containers: {db: {image: b}}\n" + PROBED)}, ["E_YAML_DUPKEY"]),
    ({"s": sandbox(rest="  containers: [db]\n" + PROBED)}, ["E_YAML_DUPKEY"]),
    ({"s": sandbox(container="image: a\n    db: [b]", rest=PROBED)}, ["E_TYPE"]),
    ({"s": sandbox(container=TWO_PORTS.replace("PROTOCOL", "protocol: udpp"))}, ["E_VALUE"]),
    ({"s": sandbox(container=TWO_PORTS.replace("PROTOCOL", "protocl: udp"))}, ["E_UNKNOWN_FIELD"]),
    (
        {
            "s": sandbox(
                container="image: a\n      mounts: {/x: {directory: d}}",
                rest="  directories: {d: {path: a//b}}\n  files: {f: {path: a/b/c, content: x}}\n",
            )
        },
        ["E_PATH"],
    ),
    ({"h": host().replace("hostKey", "hostkey")}, ["E_UNKNOWN_FIELD"]),
    ({"h": host(key="MD5:00")}, ["E_SSH_HOSTKEY_FORMAT"]),
]
REST = {
    "other": sandbox("other", container="image: web:1\n      ports: {web: {container: 80, host: 8080}}"),
    "h2": host("h2", address="10.0.0.2", key=OTHER_KEY),
}


# What is told of a sandbox only where its host is known.
OF_ITS_HOST = ("E_PORT_DUP", "E_PATH_OUTSIDE")


def found(folder: Path, whole: dict[str, str], faults: tuple[tuple[str, str, str], ...]) -> set[str]:
    """Plant faults into a document, and give what is told, each by its code, file, line and words."""
    text = "\n".join((whole | {place: text for place, text, _ in faults}).values()) + "\n"
    doc = text if whole is HOST else "\n".join(HOST.values()) + "\n"
    files = {**REST, "doc": doc} if whole is HOST else {**REST, "doc": doc, "s": text}
    told = problems(folder, **files)
    return {f"{problem.code} {Path(problem.at.file).name}:{problem.at.line} {problem.message}" for problem in told}


@pytest.mark.parametrize(("whole", "faults"), [(SANDBOX, IN_SANDBOX), (HOST, IN_HOST)], ids=["sandbox", "host"])
def test_faults_of_one_document_are_told_together_as_each_is_alone(
    whole: dict[str, str], faults: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    assert found(tmp_path, whole, ()) == set()
    alone = {fault: found(tmp_path, whole, (fault,)) for fault in faults}
    for (_, text, code), said in alone.items():
        assert code in {line.split()[0] for line in said}, (text, said)

    @given(st.lists(st.sampled_from(faults), min_size=2, max_size=4, unique_by=lambda fault: fault[0]))
    @settings(max_examples=100, deadline=None, derandomize=True)
    def together(planted: list[tuple[str, str, str]]) -> None:
        wanted = {line for fault in planted for line in alone[fault]}
        if any("missing1" in text for _, text, _ in planted):
            wanted = {line for line in wanted if not line.startswith(OF_ITS_HOST)}
        assert found(tmp_path, whole, tuple(planted)) == wanted

    together()


def test_what_follows_from_another_problem_is_not_told(tmp_path: Path) -> None:
    for number, (files, wanted) in enumerate(FOLLOWING):
        folder = tmp_path / str(number)
        folder.mkdir()
        told = problems(folder, **{"h": host(), **files})
        assert [problem.code for problem in told] == wanted, (files, told)


def test_a_credential_as_a_name_is_shown_nowhere(tmp_path: Path) -> None:
    named = host().replace("{name: h1}", f"{{name: {AWS}}}")
    told = problems(tmp_path, h=named, s=sandbox(on=f"{AWS[:-1]}Q"))
    assert AWS not in str(told)


def test_a_document_of_another_kind_is_told_of_once(tmp_path: Path) -> None:
    assert codes(problems(tmp_path, x="a: {{ b }}\n")) == {"E_YAML_KEY"}
    assert codes(problems(tmp_path, x="a: !t b\n---\nc: d\n")) == {"E_YAML_TAG", "E_SPEC_KIND"}


def test_more_problems_than_are_told_are_mentioned(tmp_path: Path) -> None:
    told = problems(tmp_path, x="\n".join(f"a{n}: !t b" for n in range(MAX_PROBLEMS + 1)))
    assert [problem.code for problem in told] == ["E_YAML_TAG"] * MAX_PROBLEMS + ["E_SPEC_PROBLEMS"]
    assert told[-1].at.line == MAX_PROBLEMS + 1
    few = "\n".join(f"a{n}: !t b" for n in range(MAX_PROBLEMS))
    assert codes(problems(tmp_path, x=few)) == {"E_YAML_TAG"}


def test_inputs_are_told_of_together(tmp_path: Path) -> None:
    profile = (
        "apiVersion: reconciler/v1\nkind: Profile\nmetadata: {name: pp}\nspec:\n"
        "  inputs: {properties: {a: {type: string}, b: {type: integer}}, required: [a]}\n"
        "  sandbox: {containers: {main: {image: web:1}}}\n"
    )
    inputs = "  profile: pp\n  inputs:\n    a: no\n    b: [1]\n    c: 1\n"
    told = problems(tmp_path, h=host(), p=profile, s=sandbox(rest=inputs))
    assert [(problem.code, problem.at.line) for problem in told] == [
        ("E_YAML_AMBIGUOUS", 11),
        ("E_INPUT", 12),
        ("E_INPUT", 13),
    ]
