"""What a spec may put where on a host: nothing over ours, nobody's keys, and nothing that two would write in turn."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from reconciler.model.names import sandbox_uid
from reconciler.model.problem import Problem
from tests.unit.load.bad_specs import FLEET, OTHER_KEY, host, problems, sandbox

OWN = "  baseDir: /srv/lab\n"


def placed(kind: str, path: str) -> str:
    return sandbox(rest=f'  {kind}: {{x: {{path: "{path}"}}}}\n')


def told(found: tuple[Problem, ...], code: str) -> Problem:
    """Give the one problem that was found: it has this code, a place and a hint."""
    assert [problem.code for problem in found] == [code], found
    assert found[0].at.line > 0
    assert found[0].at.col > 0
    assert found[0].hint
    return found[0]


@pytest.mark.parametrize("kind", ["files", "directories"])
@pytest.mark.parametrize(
    "path",
    [
        ".reconciler.json",
        ".reconciler.json/x",
        "${storage.data}/.reconciler.json",
        "${storage.data}/0123abcd/.reconciler.json",
        "${storage.data}/.host-id",
        ".host-id",
        ".lock",
        ".trash-abcdef",
        "${storage.data}/.trash-abcdef/x",
        "${storage.data}/.kept-abcdef",
        "${storage.data}/.new-abcdef",
    ],
)
def test_a_name_of_ours_is_not_written_over(kind: str, path: str, tmp_path: Path) -> None:
    found = problems(tmp_path, h=host(), s=placed(kind, path))
    assert "is a name that the reconciler itself uses there" in told(found, "E_PATH").message


@pytest.mark.parametrize("path", ["settings.json", "reconciler.json", "${storage.data}/a/.lock", ".lockfile", ".newer"])
def test_a_name_that_only_resembles_ours_is_free(path: str, tmp_path: Path) -> None:
    assert problems(tmp_path, h=host(), s=placed("directories", path)) == ()


@pytest.mark.parametrize("path", ["/srv/lab/.host-id", "/srv/lab/.lock", "/srv/lab/01234567/.reconciler.json"])
def test_the_base_folder_is_written_through_relative_paths_only(path: str, tmp_path: Path) -> None:
    found = problems(tmp_path, h=host(rest=OWN), s=placed("files", path))
    assert "in baseDir, where each sandbox has a folder of its own" in told(found, "E_PATH_OUTSIDE").message


@pytest.mark.parametrize("path", ["${storage.data}/.ssh/authorized_keys", "/srv/data/bob/.ssh"])
def test_nothing_is_written_where_keys_are_kept(path: str, tmp_path: Path) -> None:
    assert (
        "keys that people log in with" in told(problems(tmp_path, h=host(), s=placed("files", path)), "E_PATH").message
    )


@pytest.mark.parametrize("path", ["a/${host.home}/x", "${secret:key}", "${host.home}"])
def test_a_path_holds_no_late_value_that_would_make_it_another(path: str, tmp_path: Path) -> None:
    fleet = f"{FLEET}spec: {{secrets: {{key: {{file: /etc/key}}}}}}\n"
    found = problems(tmp_path, fleet=fleet, h=host(), s=placed("files", path))
    assert [problem.code for problem in found] in (["E_PATH"], ["E_INTERPOLATION"])


def test_a_name_that_no_disk_holds_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, h=host(), s=placed("directories", "x" * 256))
    assert "at most 255 bytes" in found[0].message


@pytest.mark.parametrize(
    "root",
    [
        "/",
        "/etc",
        "/home",
        "/root",
        "/root/.ssh",
        "/home/x/.ssh",
        "/home/x/.ssh/y",
        "/proc",
        "/sys",
        "/dev",
        "/dev/shm",
        "/run",
        "/run/docker",
        "/var/run/x/y",
        "/var",
        "/var/lib",
        "/var/lib/docker/volumes",
        "/var/lib/containerd",
        "/var/spool/cron",
        "/tmp",
        "/tmp/x",
    ],
)
def test_a_storage_root_is_no_folder_that_others_depend_on(root: str, tmp_path: Path) -> None:
    told(problems(tmp_path, h=host().replace("/srv/data", root)), "E_STORAGE_ROOT")


@pytest.mark.parametrize("root", ["/srv", "/mnt/disk1", "/home/alice", "/var/data", "/data", "/tmp/x/y"])
def test_a_folder_for_data_can_be_a_storage_root(root: str, tmp_path: Path) -> None:
    assert problems(tmp_path, h=host().replace("/srv/data", root)) == ()


@pytest.mark.parametrize(
    ("root", "base", "says"),
    [
        ("/srv/lab", "/srv/lab", "it is baseDir"),
        ("/srv/lab/0123abcd", "/srv/lab", "or in it"),
        ("/srv", "/srv/lab", "baseDir (/srv/lab) is in it"),
        ("/srv/lab", "/srv/lab/deeper", "is in it"),
    ],
)
def test_a_storage_root_is_apart_from_the_base_folder(root: str, base: str, says: str, tmp_path: Path) -> None:
    found = problems(tmp_path, h=host(rest=f"  baseDir: {base}\n").replace("/srv/data", root))
    assert says in told(found, "E_STORAGE_ROOT").message


def test_a_storage_root_beside_the_base_folder_is_fine(tmp_path: Path) -> None:
    assert problems(tmp_path, h=host(rest="  baseDir: /srv/data2\n")) == ()


def test_a_storage_root_does_not_hold_the_docker_socket(tmp_path: Path) -> None:
    found = problems(tmp_path, h=host(rest="  dockerSocket: /srv/data/docker.sock\n"))
    assert "Docker socket" in told(found, "E_STORAGE_ROOT").message


@pytest.mark.parametrize(
    "base",
    ["/home/x/.ssh/lab", '"${host.home}/.ssh"', "/run/systemd/system", "/var/lib", "/home/alice", "/run/docker/x"],
)
def test_a_base_folder_is_nobody_elses(base: str, tmp_path: Path) -> None:
    told(problems(tmp_path, h=host(rest=f"  baseDir: {base}\n")), "E_BASE_DIR")


@pytest.mark.parametrize("base", ["/run/user/1000/lab", "/var/lib/reconciler", "/home/alice/lab", "/root/lab"])
def test_a_folder_of_our_own_can_be_the_base_folder(base: str, tmp_path: Path) -> None:
    assert problems(tmp_path, h=host(rest=f"  baseDir: {base}\n")) == ()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/srv", "the markers of all sandboxes"),
        ("/srv/lab", "the markers of all sandboxes"),
        ("/srv/lab/0123abcd", "the marker of a sandbox"),
        ("/srv/lab/0123abcd/.reconciler.json", "our own .reconciler.json"),
        ("/srv/lab/.host-id", "our own .host-id"),
        ("/opt", "the host's Docker socket"),
    ],
)
def test_a_mount_gives_no_container_what_is_ours(path: str, says: str, tmp_path: Path) -> None:
    fleet = f"{FLEET}spec: {{policy: {{mounts: [/]}}}}\n"
    mounting = sandbox(container=f"image: web:1\n      mounts: {{/x: {{path: {path}}}}}")
    found = problems(tmp_path, fleet=fleet, h=host(rest=f"{OWN}  dockerSocket: /opt/docker.sock\n"), s=mounting)
    assert says in told(found, "E_POLICY_MOUNT").message


def test_keys_below_a_storage_root_are_mounted_only_by_policy(tmp_path: Path) -> None:
    mounting = sandbox(container="image: web:1\n      mounts: {/x: {path: /srv/data/bob/.ssh}}")
    told(problems(tmp_path, h=host(), s=mounting), "E_POLICY_MOUNT")
    fleet = f"{FLEET}spec: {{policy: {{mounts: [/srv/data/bob]}}}}\n"
    assert problems(tmp_path, fleet=fleet, h=host(), s=mounting) == ()


def test_a_file_lies_in_a_folder_that_is_made(tmp_path: Path) -> None:
    lone = "  files: {a: {path: conf/sub/a.txt}}\n"
    found = problems(tmp_path, h=host(), s=sandbox(rest=lone))
    assert "conf/sub" in told(found, "E_PATH").message
    assert "directories: {NAME: {path: conf/sub}}" in (found[0].hint or "")
    for declared in ("conf/sub", "conf/sub/deeper"):
        made = f"{lone}  directories: {{d: {{path: {declared}}}}}\n"
        assert problems(tmp_path, h=host(), s=sandbox(rest=made)) == ()
    assert problems(tmp_path, h=host(), s=sandbox(rest="  directories: {d: {path: conf}}\n" + lone))


@pytest.mark.parametrize(
    ("below", "code"),
    [
        ("files: {a: {path: x}, b: {path: x/y}}", "E_PATH"),
        ("files: {a: {path: x}}\n  directories: {d: {path: x/y/z}}", "E_PATH"),
    ],
)
def test_nothing_lies_below_a_file(below: str, code: str, tmp_path: Path) -> None:
    assert "lies below files.a" in told(problems(tmp_path, h=host(), s=sandbox(rest=f"  {below}\n")), code).message


def test_nothing_is_mounted_below_a_mounted_file(tmp_path: Path) -> None:
    text = "image: web:1\n      mounts: {/x: {file: f}}\n      volumes: {v: /x/y}"
    found = problems(tmp_path, h=host(), s=sandbox(container=text, rest="  files: {f: {path: f}}\n"))
    assert "lies below /x, where a file is mounted" in told(found, "E_MOUNT_TARGET").message


@pytest.mark.parametrize(
    ("one", "two", "says"),
    [
        ("files: {a: {path: /srv/data/x}}", "files: {b: {path: /srv/data/x}}", "only one of them can write it"),
        ("files: {a: {path: /srv/data/x}}", "directories: {b: {path: /srv/data/x}}", "only one of them can write it"),
        (
            "directories: {a: {path: /srv/data/x}}",
            'directories: {b: {path: /srv/data/x, mode: "0700"}}',
            "with another mode",
        ),
    ],
)
def test_two_sandboxes_do_not_write_one_path_in_turn(one: str, two: str, says: str, tmp_path: Path) -> None:
    found = problems(tmp_path, h=host(), s=sandbox("one", rest=f"  {one}\n"), t=sandbox("two", rest=f"  {two}\n"))
    message = told(found, "E_DUPLICATE").message
    assert says in message
    assert "of sandbox one (" in message


def test_two_sandboxes_may_share_a_storage_directory(tmp_path: Path) -> None:
    shared = "  directories: {a: {path: /srv/data/x}}\n"
    assert problems(tmp_path, h=host(), s=sandbox("one", rest=shared), t=sandbox("two", rest=shared)) == ()


def test_two_names_with_one_uid_are_refused(tmp_path: Path) -> None:
    first, second = "agent-24653", "agent-5599"
    assert sandbox_uid("col", first) == sandbox_uid("col", second)
    fleet = FLEET.replace("lab", "col")
    found = problems(tmp_path, fleet=fleet, h=host(), s=sandbox(second), t=sandbox(first))
    message = told(found, "E_DUPLICATE").message
    assert first in message
    assert second in message
    assert problems(tmp_path, h=host(), s=sandbox(second), t=sandbox(first)) == ()


def local(name: str, rest: str = "") -> str:
    return f"apiVersion: reconciler/v1\nkind: Host\nmetadata: {{name: {name}}}\nspec: {{address: local{rest}}}\n"


@pytest.mark.parametrize(
    "rest", ["", ", baseDir: /srv/other", ", dockerSocket: /run/docker.sock", ", dockerSocket: /var/run/docker.sock"]
)
def test_two_hosts_that_are_one_engine_are_refused(rest: str, tmp_path: Path) -> None:
    found = problems(tmp_path, a=local("aa"), b=local("bb", rest))
    assert "is the same Docker engine" in told(found, "E_DUPLICATE").message
    assert "aa (" in found[0].message
    assert "baseDir" not in f"{found[0].message}{found[0].hint}"


def test_two_engines_of_one_machine_need_two_base_folders(tmp_path: Path) -> None:
    socket = ", dockerSocket: /run/user/1000/docker.sock"
    found = problems(tmp_path, a=local("aa"), b=local("bb", socket))
    assert "the same baseDir on one machine" in told(found, "E_DUPLICATE").message
    assert problems(tmp_path, a=local("aa"), b=local("bb", f"{socket}, baseDir: /srv/bb")) == ()


def test_one_address_and_port_is_one_engine_for_every_account_and_base_folder(tmp_path: Path) -> None:
    other = host("h2", user="dev", key=OTHER_KEY, rest="  baseDir: /srv/other\n")
    assert "is the same Docker engine" in told(problems(tmp_path, a=host(), b=other), "E_DUPLICATE").message
    assert problems(tmp_path, a=host(), b=host("h2", key=OTHER_KEY, ssh=", port: 2222")) == ()


def test_one_address_behind_two_jump_hosts_is_two_machines(tmp_path: Path) -> None:
    jumps = [host(name, address=address, key=a_key(name)) for name, address in (("j1", "10.0.0.1"), ("j2", "10.0.0.2"))]
    behind = [host(f"h{n}", address="10.9.9.9", key=a_key(f"h{n}"), ssh=f", jump: j{n}") for n in (1, 2)]
    assert problems(tmp_path, all="---\n".join([*jumps, *behind])) == ()
    again = host("h3", address="10.9.9.9", key=a_key("h3"), ssh=", jump: j1")
    told(problems(tmp_path, all="---\n".join([*jumps, *behind, again])), "E_DUPLICATE")


def a_key(seed: str) -> str:
    """Give a public key that is well-formed and nobody's."""
    fields = [b"ssh-ed25519", hashlib.sha256(seed.encode()).digest()]
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"
