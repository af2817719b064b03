"""Bad inputs by number, those of containers, secrets and probes; the others are in `test_bad_inputs.py`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.load.bad_specs import FLEET, Case, documents, host, in_container, sandbox


def _mounting(source: str) -> dict[str, str | bytes]:
    """Mount a path of the host, under a policy that allows all of it."""
    fleet = f"{FLEET}spec: {{policy: {{mounts: [/]}}}}\n"
    return {"fleet": fleet, **in_container(f"mounts: {{/x: {{path: {source}}}}}")}


def _mounted_at(target: str) -> dict[str, str | bytes]:
    return {
        "h": host(),
        "s": sandbox(
            container=f'image: web:1\n      mounts: {{"{target}": {{directory: d}}}}',
            rest="  directories: {d: {path: d}}\n",
        ),
    }


def _probe(text: str) -> dict[str, str | bytes]:
    ports = "image: web:1\n      ports: {web: {container: 80}}"
    return {"h": host(), "s": sandbox(container=ports, rest=f"  readiness: {{up: {{{text}}}}}\n")}


def _http(path: str) -> dict[str, str | bytes]:
    return _probe(f'http: {{container: main, port: web, path: "{path}"}}')


def _secret(file: str) -> dict[str, str | bytes]:
    return {"fleet": f"{FLEET}spec: {{secrets: {{key: {{file: {file}}}}}}}\n"}


def _annotated(text: str) -> dict[str, str | bytes]:
    return {"h": host().replace("{name: h1}", f'{{name: h1, annotations: {{note: "{text}"}}}}')}


CASES = [
    *[
        Case(39, path, _mounting(path), "E_POLICY_MOUNT", "never mounted")
        for path in (
            "/",
            "/etc",
            "/var/run/docker.sock",
            "/run",
            "/proc",
            "/var/lib/docker",
            "/etc/x",
            "/sys/x",
            "/var",
        )
    ],
    *[
        Case(41, target, _mounted_at(target), "E_MOUNT_TARGET")
        for target in ("/", "/proc", "/etc/passwd", "/a/../b", "a", "/proc/1/x", "/a//b", "/a/", "/a\\nb")
    ],
    Case(
        41,
        "twice",
        in_container("mounts: {/x: {path: /srv/data/x}}\n      volumes: {v: /x}"),
        "E_MOUNT_TARGET",
        "/x is mounted twice",
    ),
    *[
        Case(42, text, in_container(text), "E_UNKNOWN_FIELD", says)
        for text, says in {
            "privileged: true": "there is no such field: give the one capability",
            "pid: host": "there is no such field: a container keeps its own processes",
            "userns: host": "there is no such field",
            "securityOpt: [seccomp=unconfined]": "the Fleet's policy decides",
        }.items()
    ],
    *[
        Case(42, text, in_container(text), "E_POLICY", "the Fleet's policy denies")
        for text in ("networkMode: host", "ipc: host", "capAdd: [SYS_ADMIN]", "devices: [/dev/sda]")
    ],
    *[
        Case(43, text, in_container(f"resources: {{{text}}}"), code)
        for text, code in {
            "memory: 1B": "E_RANGE",
            "memory: -1": "E_RANGE",
            "memory: 0": "E_RANGE",
            "memory: 5 potatoes": "E_UNIT",
            "memory: 1e30G": "E_UNIT",
            "memory: 512M": "E_UNIT",
            "memory: 512mb": "E_UNIT",
            "memory: 1.5GiB": "E_UNIT",
            "cpus: 0": "E_RANGE",
            "cpus: -1": "E_RANGE",
            "cpus: 2000": "E_RANGE",
            "cpus: 500m": "E_TYPE",
            'cpus: "2"': "E_TYPE",
        }.items()
    ],
    *[
        Case(44, text, in_container(f"ports: {{web: {{container: {text}}}}}"), code)
        for text, code in {
            "0": "E_PORT",
            "70000": "E_PORT",
            "-1": "E_PORT",
            "22:22:22": "E_TYPE",
            '"80"': "E_TYPE",
            "\u0662\u0662": "E_TYPE",
            "80/sctpp": "E_TYPE",
            "80, protocol: sctpp": "E_VALUE",
            "8080-8090": "E_TYPE",
        }.items()
    ],
    Case(44, "list", in_container('ports: ["8080:80"]'), "E_TYPE", "web: {container: 80, host: 8080}"),
    Case(44, "same port twice", in_container("ports: {a: {container: 80}, b: {container: 80}}"), "E_PORT_DUP"),
    Case(
        44,
        "same host port twice",
        in_container("ports: {a: {container: 80, host: 8080}, b: {container: 81, host: 8080}}"),
        "E_PORT_DUP",
    ),
    Case(
        44,
        "sshd's port",
        in_container("ports: {a: {container: 22, host: 22, bind: 0.0.0.0}}"),
        "E_PORT_DUP",
        "own sshd",
    ),
    *[
        Case(46, name, in_container(f'env: {{"{name}": x}}'), "E_ENV")
        for name in ("A=B", "1X", "A\\nB", "", "A B", "A-B", "a.b", "\u00c4")
    ],
    Case(46, "nul in key", in_container('env: {"A\\0B": x}'), "E_ENCODING", "\\u0000"),
    Case(46, "1 MB value", in_container(f"env: {{A: {'x' * 900_000}}}"), "E_YAML_SCALAR"),
    Case(46, "200 kB value", in_container(f"env: {{A: {'x' * 200_000}}}"), "E_ENV", "131071"),
    Case(46, "10,000 keys", in_container(f"env: {{{', '.join(f'A{n}: x' for n in range(10_000))}}}"), "E_ENV", "4096"),
    Case(48, "ours", in_container('labels: {dev.reconciler.uid: "x"}'), "E_LABEL_RESERVED"),
    Case(
        59,
        "password",
        {"fleet": f"{FLEET}spec: {{registries: [{{host: r.example, username: u, password: hunter2}}]}}\n"},
        "E_SECRET_LITERAL",
        "${secret:NAME}",
    ),
    Case(59, "access key", in_container("env: {KEY: AKIAHUNTER2HUNTER2HU}"), "E_SECRET_LITERAL", "${secret:NAME}"),
    Case(
        59,
        "pem",
        {"x": "note: |\n  -----BEGIN OPENSSH PRIVATE KEY-----\n  hunter2\n  -----END OPENSSH PRIVATE KEY-----\n"},
        "E_SECRET_LITERAL",
    ),
    *[
        Case(60, file, _secret(file), "E_SECRET_FILE")
        for file in ("/etc/shadow", "/proc/self/environ", "/dev/stdin", "/root/.ssh/id_ed25519")
    ],
    *[Case(60, file, _secret(file), "E_PATH") for file in ("../../x", "env:PATH", "file:/etc/shadow")],
    Case(
        60, "command", {"fleet": f"{FLEET}spec: {{secrets: {{key: {{cmd: id}}}}}}\n"}, "E_UNKNOWN_FIELD", "known here"
    ),
    Case(60, "undeclared", in_container('env: {A: "${secret:none}"}'), "E_INTERPOLATION", "no secret none is declared"),
    *[
        Case(61, text, _probe(f"tcp: {{container: main, port: web}}, {text}"), code)
        for text, code in {
            "timeout: 0": "E_RANGE",
            "timeout: -1": "E_RANGE",
            "timeout: 10 years": "E_UNIT",
            "timeout: 3000d": "E_RANGE",
            "timeout: 60": "E_UNIT",
            "interval: 2m": "E_RANGE",
        }.items()
    ],
    *[
        Case(61, path, _http(path), "E_PROBE")
        for path in ("http://169.254.169.254/", "//169.254.169.254/", "file:///etc/passwd", "", "/a b", "/a\\r\\nX: y")
    ],
    Case(61, "another host", _probe("http: {container: main, port: web, host: example.org}"), "E_UNKNOWN_FIELD"),
    Case(63, "escape", _annotated("\x1b[31m"), "E_ENCODING", "\\u001b"),
    Case(63, "carriage return", _annotated("a\rb"), "E_ENCODING", "\\u000d"),
    Case(63, "1 MB", _annotated("x" * 900_000), "E_YAML_SCALAR"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_input_gets_its_answer(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


@pytest.mark.parametrize("text", ["$(id)", "'; rm -rf /; '", "%s", "{{x}}", "\x1b[31m", "`id`", "a\tb\nc", "$${x}"])
def test_47_a_value_of_a_variable_is_passed_byte_for_byte(text: str, tmp_path: Path) -> None:
    found = documents(tmp_path, h=host(), s=sandbox(container=f"image: web:1\n      env: {{A: {json.dumps(text)}}}"))
    assert found.sandboxes["web"].spec.containers["main"].env == {"A": text.replace("$${", "${")}
