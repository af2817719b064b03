"""Give containers what they stand on: files, secrets, folders, volumes and private networks; take away only our own."""

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import inspect, name_of, planned_verbs, run_of, settle, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

SECRET = "S3cret-value-that-stays-inside"


def test_files_hold_secrets_with_their_mode_and_leak_them_nowhere(fleet: Driver, alpha: LabHost) -> None:
    source = fleet.declare_secret("token", SECRET)
    files = {
        "settings": {"path": "conf/settings.env", "mode": "0600", "format": "env", "content": {"T": "${secret:token}"}},
        "open": {"path": "open.json", "mode": "0644", "format": "json", "content": {"run": "${run.id}", "n": 3}},
    }
    mounts = {"/settings": {"file": "settings", "readOnly": True}, "/open.json": {"file": "open"}}
    container = {"mounts": mounts, "env": {"TOKEN": "${secret:token}"}}
    folders = {"conf": {"path": "conf"}}
    web_sandbox(fleet, "web", "alpha", directories=folders, files=files, container=container)
    said = [fleet.run("plan"), fleet.run("plan", "-o", "json"), fleet.run("plan", "--out", "p.plan")]
    said += [fleet.run("apply", "--yes", "--json"), fleet.run("status", "-o", "json"), fleet.run("plan")]
    for ran in said:
        ran.expect(0)
        assert SECRET not in ran.stdout + ran.stderr, ran.words
    for path in (*fleet.status.rglob("*"), fleet.folder / "p.plan", *fleet.home.rglob("*")):
        assert not path.is_file() or SECRET not in path.read_text(errors="replace"), path
    name = name_of(fleet, "web")
    assert alpha.docker("exec", name, "cat", "/settings") == f"T={SECRET}\n"
    assert alpha.docker("exec", name, "sh", "-c", "echo $TOKEN").strip() == SECRET
    folder = next(path for path in alpha.run("find", fleet.base_dir(alpha), "-name", "settings.env").split())
    assert alpha.run("stat", "-c", "%a %u", folder).split() == ["600", str(alpha.uid)]

    source.write_text("another-value\n")
    assert planned_verbs(fleet) == {"sandbox/web": "replace"}
    settle(fleet)
    assert alpha.docker("exec", name, "cat", "/settings") == "T=another-value\n"


def test_a_file_that_the_spec_does_not_name_any_more_leaves_the_host(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_fleet(secrets={"token": {"file": str(fleet.folder / "token")}})
    (fleet.folder / "token").write_text(SECRET)
    kept = {"kept": {"path": "conf/kept", "content": "mode = fast\n"}}
    secret = {"secret": {"path": "conf/secret", "mode": "0600", "content": "${secret:token}"}}
    mounts = {"/conf": {"directory": "conf"}}
    folders = {"conf": {"path": "conf"}}
    web_sandbox(fleet, "web", "alpha", directories=folders, files=kept | secret, container={"mounts": mounts})
    settle(fleet)
    run = run_of(fleet, alpha)
    alpha.docker("exec", name_of(fleet, "web"), "sh", "-c", "echo theirs > /conf/theirs")

    web_sandbox(fleet, "web", "alpha", directories=folders, files=kept, container={"mounts": mounts})
    assert "remove " in fleet.run("plan").expect(0).stdout
    settle(fleet)

    left = alpha.run("find", fleet.base_dir(alpha), "-path", "*/conf/*", "-printf", "%f ").split()
    assert sorted(left) == ["kept", "theirs"]
    assert run_of(fleet, alpha) == run


def test_containers_of_a_sandbox_reach_each_other_by_name_and_others_do_not(fleet: Driver, alpha: LabHost) -> None:
    store = {"image": "lab/web:1", "networks": {"inside": {"aliases": ["shop-store"]}}}
    front = {"image": "lab/web:2", "networks": {"inside": {}}, "dependsOn": ["store"]}
    fleet.declare_sandbox("shop", host="alpha", observability="off", containers={"store": store, "front": front})
    lonely = {"image": "lab/web:1", "networks": {"inside": {}}}
    fleet.declare_sandbox("lonely", host="alpha", observability="off", containers={"main": lonely})
    settle(fleet)
    for alias in ("store", "shop-store"):
        assert alpha.docker("exec", name_of(fleet, "shop", "front"), "sh", "-c", _ask(alias)) == "web 1\n"
    assert alpha.docker("exec", name_of(fleet, "lonely"), "sh", "-c", _ask("store")) == ""
    fleet.run("destroy", "--all", "--yes").expect(0)
    assert fleet.fleet not in alpha.docker("network", "ls")


def _ask(alias: str) -> str:
    """Write a shell line that asks a neighbour by name.

    The engine's resolver listens on a port of its own, since lab hosts have no iptables to lead port 53 there; and the
    lab's static busybox resolves names in nslookup alone. The answer's last line, or nothing.
    """
    port = "$(netstat -lun | sed -n 's/.*127.0.0.11:\\([0-9]*\\).*/\\1/p')"
    address = f"$(nslookup -type=a -port={port} {alias} 127.0.0.11 | sed -n '/^Name/,$s/^Address: *//p')"
    return f"a={address}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${{a:-nobody}} 8080 | tail -n 1"


def test_data_is_kept_and_our_own_folder_is_removed(fleet: Driver, alpha: LabHost) -> None:
    storage = f"{alpha.home}/{fleet.fleet}-data"
    alpha.run("install", "-d", "-o", str(alpha.uid), storage)
    fleet.declare_host(alpha, storageRoots={"data": storage})
    directories = {"kept": {"path": "${storage.data}/kept", "mode": "0700"}, "scratch": {"path": "scratch"}}
    mounts = {"/kept": {"directory": "kept"}, "/scratch": {"directory": "scratch"}}
    container = {"volumes": {"state": "/state"}, "mounts": mounts}
    web_sandbox(fleet, "web", "alpha", directories=directories, container=container)
    settle(fleet)
    name = name_of(fleet, "web")
    for folder in ("kept", "scratch", "state"):
        alpha.docker("exec", name, "sh", "-c", f"echo mine >/{folder}/file")
    before = run_of(fleet, alpha)

    changed = {**container, "env": {"NEW": "1"}}
    web_sandbox(fleet, "web", "alpha", directories=directories, container=changed)
    settle(fleet)
    assert run_of(fleet, alpha) != before
    for folder in ("kept", "scratch", "state"):
        assert alpha.docker("exec", name, "cat", f"/{folder}/file") == "mine\n", "a replacement keeps what it had"

    volumes = [mount["Name"] for mount in inspect(alpha, name)["Mounts"] if mount["Type"] == "volume"]
    fleet.run("destroy", "web", "--yes").expect(0)
    assert fleet.containers(alpha) == {}
    assert alpha.run("cat", f"{storage}/kept/file") == "mine\n"
    assert alpha.docker("volume", "ls", "-q", "--filter", f"name={volumes[0]}").split() == volumes
    assert "scratch" not in alpha.run("find", fleet.base_dir(alpha))
    settle(fleet)
    assert alpha.docker("exec", name, "cat", "/state/file") == "mine\n"
    alpha.run("rm", "-r", storage)
