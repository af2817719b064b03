"""Bad inputs by number: what an operator may write by mistake or by malice, and what the answer must be."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

import pytest

from reconciler.load.read import read
from tests.unit.load.bad_specs import (
    KEY,
    OTHER_KEY,
    Case,
    codes,
    documents,
    host,
    in_container,
    problems,
    sandbox,
    write,
)


def _alias_bomb() -> str:
    rows = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(rows)


def _merge_bomb() -> str:
    rows = ["a0: &a0 {k: v}"]
    rows += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 8)}]}}" for n in range(1, 9)]
    return "\n".join(rows)


def _named(name: str) -> dict[str, str | bytes]:
    return {"h": host(), "s": sandbox(name)}


def _based(path: str) -> dict[str, str | bytes]:
    return {"h": host(rest=f"  baseDir: {path}\n")}


def _image(text: str) -> dict[str, str | bytes]:
    return {"h": host(), "s": sandbox(container=f"image: {text}")}


def _rsa(bits: int) -> str:
    def field(data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + data

    modulus = b"\0" + ((1 << (bits - 1)) | 1).to_bytes(bits // 8, "big")
    return "ssh-rsa " + base64.b64encode(field(b"ssh-rsa") + field(b"\1\0\1") + field(modulus)).decode()


def _profile(name: str, extends: str) -> str:
    return f"apiVersion: reconciler/v1\nkind: Profile\nmetadata: {{name: {name}}}\nspec: {{extends: {extends}}}\n"


CASES = [
    Case(1, "alias bomb", {"x": _alias_bomb()}, "E_YAML_ALIAS", "&a0"),
    Case(2, "merge bomb", {"x": _merge_bomb()}, "E_YAML_ALIAS"),
    Case(3, "cycle", {"x": "a: &a [*a]"}, "E_YAML_ALIAS"),
    Case(4, "merge key", {"x": "base: {}\nb:\n  <<: *base\n"}, "E_YAML_MERGE", "use a Profile"),
    Case(5, "flow depth", {"x": "[" * 20_000}, "E_YAML_DEPTH"),
    Case(6, "map depth", {"x": "\n".join(" " * n + "a:" for n in range(800))}, "E_YAML_DEPTH"),
    Case(7, "too large", {"x": b"# " + b"x" * 2_000_000}, "E_SPEC_SIZE"),
    Case(8, "long scalar", {"x": 'a: "' + "x" * 900_000 + '"'}, "E_YAML_SCALAR"),
    Case(9, "duplicate key", _image("a\n      image: b"), "E_YAML_DUPKEY", "the first is on line 8"),
    Case(10, "full width key", {"x": "name: a\n\uff4e\uff41\uff4d\uff45: b\n"}, "E_YAML_DUPKEY", "\\uff4e"),
    Case(11, "no", in_container("env: {COUNTRY: no}"), "E_YAML_AMBIGUOUS", 'write "no"'),
    Case(12, "base 60", in_container("env: {PORTS: 22:22}"), "E_YAML_AMBIGUOUS", 'write "22:22"'),
    Case(13, "octal", {"s": sandbox(rest="  directories: {d: {path: d, mode: 0755}}\n")}, "E_YAML_AMBIGUOUS", '"0755"'),
    Case(14, "float", in_container("env: {VERSION: 1.10}"), "E_YAML_AMBIGUOUS", 'write "1.10"'),
    *[
        Case(15, text, in_container(f"env: {{ID: {text}}}"), "E_YAML_AMBIGUOUS", text)
        for text in ("1e3", "1_000", "0x1F", ".inf", ".nan", "2026-01-01", "~", "on", "1:30:00")
    ],
    *[
        Case(15, f"{text} as a number", {"h": host(), "s": sandbox(rest=f"  keepRuns: {text}\n")}, "E_TYPE")
        for text in ("1e3", "1_000", "0x1F", ".inf", "2026-01-01", "٢٢", "007", '"5"', "true")
    ],
    Case(16, "5,000 digits", in_container(f"resources: {{memory: {'9' * 5000}}}"), "E_RANGE"),
    Case(16, "5,000 digits with unit", in_container(f"resources: {{memory: {'9' * 5000}MiB}}"), "E_RANGE"),
    Case(17, "yes and true", {"x": "yes: 1\ntrue: 2\n"}, "E_YAML_KEY", 'write "yes"'),
    Case(18, "null key", {"x": "null: x\n"}, "E_YAML_KEY"),
    Case(18, "list key", {"x": "? [a, b]\n: 1\n"}, "E_YAML_KEY", "not a list"),
    Case(18, "number key", {"x": "1: x\n"}, "E_YAML_KEY"),
    Case(19, "python tag", {"x": 'a: !!python/object/apply:os.system ["id"]\n'}, "E_YAML_TAG"),
    *[Case(20, tag, {"x": f"a: {tag} x\n"}, "E_YAML_TAG") for tag in ("!!binary", "!!set", "!vault", "!")],
    Case(20, "directive", {"x": "%TAG ! tag:x,2000:\n---\na: b\n"}, "E_YAML_DIRECTIVE"),
    Case(20, "version", {"x": "%YAML 1.1\n---\na: b\n"}, "E_YAML_DIRECTIVE"),
    Case(21, "empty", {"x": ""}, "E_SPEC_EMPTY_DOC"),
    Case(21, "comments", {"x": "# nothing\n"}, "E_SPEC_EMPTY_DOC"),
    Case(21, "text", {"x": "hello\n"}, "E_SPEC_NOT_MAP"),
    Case(21, "list", {"x": "- a\n"}, "E_SPEC_NOT_MAP"),
    Case(22, "second without kind", {"x": host() + "---\napiVersion: reconciler/v1\n"}, "E_SPEC_KIND", "document 2"),
    Case(23, "tab", {"x": "a:\n\tb: 1\n"}, "E_YAML_SYNTAX", "indent with spaces"),
    Case(23, "utf-16", {"x": "a: b\n".encode("utf-16")}, "E_ENCODING", "UTF-16"),
    Case(23, "latin-1", {"x": b"a: \xe9\n"}, "E_ENCODING", "0xe9"),
    Case(23, "nul", {"x": b"a: \0\n"}, "E_ENCODING", "\\u0000"),
    Case(23, "surrogate", {"x": b'a: "\\ud800"\n'}, "E_ENCODING", "\\ud800"),
    Case(24, "bidi escape", _named('"web\\u202Egnp"'), "E_NAME", "\\u202e"),
    Case(24, "bidi raw", _named('"web\u202egnp"'), "E_ENCODING", "\\u202e"),
    Case(24, "zero width", _named('"we\\u200bb"'), "E_NAME", "\\u200b"),
    Case(24, "cyrillic", _named("w\u0430b"), "E_NAME", "\\u0430"),
    Case(
        25, "conflict", {"x": "a: 1\n<<<<<<< HEAD\nb: 2\n=======\n>>>>>>> x\n"}, "E_SPEC_CONFLICT", "unresolved merge"
    ),
    Case(26, "cut quote", {"x": 'a: 1\nb: "half'}, "E_YAML_SYNTAX", "ends in the middle"),
    Case(26, "cut bracket", {"x": "a: [1, 2"}, "E_YAML_SYNTAX"),
    Case(27, "kind", {"x": "apiVersion: reconciler/v1\nkind: Sandbx\n"}, "E_SPEC_KIND", "did you mean Sandbox?"),
    Case(27, "version", {"x": "apiVersion: v9\nkind: Host\n"}, "E_SPEC_KIND", "reconciler/v1"),
    Case(28, "typo", in_container("privilged: true"), "E_UNKNOWN_FIELD", "privileged"),
    Case(28, "case", in_container("workingdir: /a"), "E_UNKNOWN_FIELD", "did you mean workingDir?"),
    Case(28, "snake case", in_container("working_dir: /a"), "E_UNKNOWN_FIELD", "did you mean workingDir?"),
    Case(29, "one name twice", {"h": host(), "a": sandbox(), "b": sandbox()}, "E_DUPLICATE", "a.yaml:3"),
    Case(29, "other case", {"h": host(), "a": sandbox(), "b": sandbox("Web")}, "E_NAME"),
    Case(30, "host", {"h": host(), "s": sandbox(on="missing1")}, "E_REF", "no host missing1"),
    Case(30, "profile", {"h": host(), "s": sandbox(rest="  profile: missing\n")}, "E_REF", "no profile missing"),
    Case(30, "circle", {"a": _profile("aa", "bb"), "b": _profile("bb", "aa")}, "E_REF_CYCLE", "aa -> bb -> aa"),
    *[Case(31, name, _named(f'"{name}"'), "E_NAME") for name in ("../x", "a/b", ".", "..", ".hidden")],
    *[Case(32, name, _named(f'"{name}"'), "E_NAME") for name in ("-rf", "--help", "a-")],
    *[
        Case(33, name, _named(f'"{name}"'), "E_NAME")
        for name in ("a;id", "$(id)", "`id`", "a b", "a\\nb", "abc\\n", "a${x")
        if name != "a${x"
    ],
    *[Case(34, name, _named(f'"{name}"'), "E_NAME") for name in ("", "a", "a" * 41, "a" * 64, "CON", "0123456789ab")],
    *[Case(35, name, _named(name), "E_NAME_RESERVED") for name in ("sbx-lock-h1", "sbx-a")],
    *[
        Case(36, path, _based(f'"{path}"'), "E_BASE_DIR")
        for path in ("/", "/etc", "/home", "relative", "~/x", "/srv/../etc", "/srv//x/", "", "/etc/x/y", "/proc/1")
    ],
    *[
        Case(37, path, _based(path), "E_BASE_DIR", "anybody may write")
        for path in ("/" + "tmp/sandboxer", "/var/" + "tmp/x")
    ],
    *[
        Case(38, name, _based(f'"{path}"'), "E_PATH")
        for name, path in {
            "newline": "/srv/a\\nb",
            "glob": "/srv/lab/*",
            "variable": "/srv/$HOME/x",
            "4,097 bytes": "/srv/" + "x" * 4092,
        }.items()
    ],
    *[
        Case(49, text, _image(f'"{text}"'), "E_IMAGE_REF")
        for text in ("", "a b", "../x", "UPPER/x", "x:tag:tag", "x@sha256:zz", "-v/:/h", "http://x/y", "x:", "a//b")
    ],
    Case(51, "shell text", in_container('command: "a && b"'), "E_TYPE", "none is implied"),
    *[
        Case(52, repr(text), {"h": host(address=f'"{text}"')}, "E_HOST_ADDR")
        for text in ("-oProxyCommand=touch x", "user@h", "h;id", "h\\nX", "h" * 300, "http://h", "")
    ],
    *[
        Case(53, text, {"h": host(address=f'"{text}"')}, "E_HOST_ADDR")
        for text in (
            "0x7f.1",
            "2130706433",
            "127.1",
            "localhost.",
            "[::1]",
            "fe80::1%eth0",
            "ex\u0430mple.org",
            "010.0.0.1",
            "2001:DB8::1",
            "Example.org",
        )
    ],
    *[Case(54, text, {"h": host(user=f'"{text}"')}, "E_HOST_USER") for text in ("root;id", "", "-l")],
    Case(54, "port as text", {"h": host(ssh=', port: "22"')}, "E_TYPE", "remove the quotes"),
    Case(55, "missing", {"h": host(key=None)}, "E_SSH_HOSTKEY_UNPINNED", "ssh-keyscan"),
    Case(55, "dss", {"h": host(key="ssh-dss AAAAB3NzaC1kc3M=")}, "E_SSH_HOSTKEY_WEAK"),
    Case(55, "rsa 1024", {"h": host(key=_rsa(1024))}, "E_SSH_HOSTKEY_WEAK", "1024 bits"),
    Case(55, "md5", {"h": host(key="MD5:00:11:22:33")}, "E_SSH_HOSTKEY_FORMAT", "fingerprint"),
    Case(55, "sha256", {"h": host(key="SHA256:abcdef")}, "E_SSH_HOSTKEY_FORMAT", "fingerprint"),
    Case(55, "damaged", {"h": host(key=KEY[:-9])}, "E_SSH_HOSTKEY_FORMAT"),
    Case(55, "shared", {"h": host(), "i": host("h2", address="10.0.0.2")}, "E_SSH_HOSTKEY_SHARED", "h1"),
    Case(56, "public key", {"h": host(ssh=", identityFile: ~/.ssh/id_ed25519.pub")}, "E_KEY_PUBLIC"),
    Case(56, "relative", {"h": host(ssh=", identityFile: id_ed25519")}, "E_KEY_PATH"),
    Case(57, "itself", {"h": host(ssh=", jump: h1")}, "E_JUMP_CYCLE", "h1 -> h1"),
    Case(
        57,
        "circle",
        {"h": host(ssh=", jump: h2"), "i": host("h2", address="10.0.0.2", key=OTHER_KEY, ssh=", jump: h1")},
        "E_JUMP_CYCLE",
        "h1 -> h2 -> h1",
    ),
    Case(
        57,
        "unpinned",
        {"h": host(ssh=", jump: h2"), "i": host("h2", address="10.0.0.2", key=None)},
        "E_SSH_HOSTKEY_UNPINNED",
    ),
    *[
        Case(58, text[:20], {"h": host(rest=f'  dockerSocket: "{text}"\n')}, "E_DOCKER_SOCKET")
        for text in ("tcp://1.2.3.4:2375", "/etc/passwd", "run/docker.sock", "/run/" + "x" * 200 + ".sock")
    ],
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_input_gets_its_answer(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


def test_07_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert codes(problems(tmp_path, h=host())) == {"E_SPEC_NOT_FILE"}


def test_07_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    assert codes(problems(tmp_path, h=host())) == {"E_SPEC_SYMLINK"}


def test_07_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(tmp_path)
    assert codes(problems(tmp_path, h=host())) == {"E_SPEC_SYMLINK"}


def test_26_a_document_that_is_cut_short_loads_nothing_at_all(tmp_path: Path) -> None:
    found = problems(tmp_path, h=host(), s=sandbox("one") + "---\n" + sandbox("two")[:-3] + ": [")
    assert codes(found) == {"E_YAML_SYNTAX"}


def test_33_a_newline_is_not_overlooked_at_the_end_of_a_name(tmp_path: Path) -> None:
    found = problems(tmp_path, **_named('"abc\\n"'))
    assert [problem.code for problem in found] == ["E_NAME"]
    assert "`abc\\n`" in found[0].message


def test_64_a_folder_of_too_many_files_is_refused_before_they_are_read(tmp_path: Path) -> None:
    for number in range(20_001):
        os.close(os.open(tmp_path / f"{number}.yaml", os.O_CREAT | os.O_WRONLY))
    assert codes(problems(tmp_path)) == {"E_SPEC_SIZE"}


def test_64_a_folder_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").mkdir()
    write(tmp_path / "inner.yaml", s=sandbox())
    assert set(documents(tmp_path, h=host()).sandboxes) == {"web"}


def test_65_a_file_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "decoy.txt").write_text("hunter2: x\n")
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "a.yaml").symlink_to(tmp_path / "decoy.txt")
    found = problems(specs, h=host())
    assert codes(found) == {"E_SPEC_SYMLINK"}
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6])
def test_bombs_are_refused_before_they_cost_anything(number: int) -> None:
    case = next(case for case in CASES if case.number == number)
    data = str(case.files["x"]).encode()
    read(b"a: b", "warm.yaml")
    started = time.process_time()
    assert read(data, "x.yaml").problems
    assert time.process_time() - started < 0.2


def test_a_folder_of_bad_specs_tells_of_every_file(tmp_path: Path) -> None:
    write(tmp_path, one="a: [", two="a: !x b", three=sandbox(on="nowhere"))
    found = problems(tmp_path)
    assert {Path(problem.at.file).name for problem in found} == {"one.yaml", "two.yaml", "three.yaml"}
