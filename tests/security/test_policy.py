"""S12 to S14, S18: what a spec may not ask of a host, and what every container gets without being asked.

The rows that need a real host are at the end.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from reconciler.load.lower import lower
from reconciler.model.problem import Problem
from reconciler.model.resource import Mount
from tests import builders as b
from tests.e2e.driver import Driver
from tests.e2e.sights import inspect, name_of, settle, web_sandbox
from tests.lab.host import LabHost
from tests.unit.load.bad_specs import FLEET, codes, documents, host, in_container, problems, sandbox
from tests.unit.plan.deciding import decide

# S12: the policy denies by default ------------------------------------------------------------------------------------

DENIED = {
    "privileged: true": "privileged",
    "networkMode: host": "networkMode",
    "pid: host": "pid",
    "ipc: host": "ipc",
    "uts: host": "uts",
    "userns: host": "userns",
    "capAdd: [SYS_ADMIN]": "capAdd[0]",
    "capAdd: [NET_RAW]": "capAdd[0]",
    "devices: [/dev/sda]": "devices[0]",
    "mounts: {/x: {path: /var/run/docker.sock}}": "mounts./x.path",
    "mounts: {/x: {path: /run}}": "mounts./x.path",
    "mounts: {/x: {path: /var}}": "mounts./x.path",
    "mounts: {/x: {path: /opt/x}}": "mounts./x.path",
    "securityOpt: [seccomp=unconfined]": "securityOpt",
    "securityOpt: [apparmor=unconfined]": "securityOpt",
    "sysctls: {net.ipv4.ip_forward: 1}": "sysctls",
    "cgroupParent: /": "cgroupParent",
    "cgroupns: host": "cgroupns",
    "runtime: evil": "runtime",
    "volumesFrom: [other]": "volumesFrom",
    "deviceCgroupRules: [a]": "deviceCgroupRules",
    "groupAdd: [docker]": "groupAdd",
}
REFUSALS = {"E_POLICY", "E_POLICY_MOUNT", "E_UNKNOWN_FIELD"}


def denied(folder: Path, text: str, *, fleet: str = FLEET) -> Problem:
    """Load one bad field, which must be the one thing that is wrong."""
    (found,) = problems(folder, **{"fleet": fleet, **in_container(text)})
    return found


@pytest.mark.parametrize("text", DENIED)
def test_s12_what_gives_a_host_away_is_denied_field_by_field(text: str, tmp_path: Path) -> None:
    found = denied(tmp_path, text)
    assert found.code in REFUSALS
    assert found.field == f"spec.containers.main.{DENIED[text]}"
    assert (Path(found.at.file).name, found.at.line) == ("s.yaml", 9)
    if found.code == "E_POLICY_MOUNT" and "never mounted" not in found.message:
        assert "fleet.yaml:3" in (found.hint or ""), "the line of the Fleet that could allow it"


@pytest.mark.parametrize(
    ("text", "lifts"),
    [
        ("networkMode: host", "hostNetwork: true"),
        ("ipc: host", "hostIpc: true"),
        ("capAdd: [SYS_ADMIN]", "capAdd: [SYS_ADMIN]"),
        ("devices: [/dev/fuse]", "devices: [/dev/fuse]"),
    ],
)
def test_s12_an_allowance_lifts_one_denial_for_one_profile(text: str, lifts: str, tmp_path: Path) -> None:
    def load(allowed: str, field: str = text) -> set[str]:
        fleet = f"{FLEET}spec: {{policy: {{allow: [{{profile: {allowed}}}]}}}}\n"
        profile = (
            "apiVersion: reconciler/v1\nkind: Profile\nmetadata: {name: seer}\n"
            f"spec: {{sandbox: {{containers: {{main: {{image: web:1, {field}}}}}}}}}\n"
        )
        wanted = "apiVersion: reconciler/v1\nkind: Sandbox\nmetadata: {name: web}\nspec: {host: h1, profile: seer}\n"
        return codes(problems(tmp_path, fleet=fleet, h=host(), p=profile, s=wanted))

    assert load(f"seer, {lifts}") == set()
    assert load(f"other, {lifts}") == {"E_POLICY"}
    others = ("hostNetwork: true", "hostIpc: true", "capAdd: [NET_ADMIN]", "devices: [/dev/kvm]")
    for other in others:
        assert other == lifts or load(f"seer, {other}") == {"E_POLICY"}
    named = problems(tmp_path, fleet=FLEET)
    assert f"policy.allow: [{{profile: seer, {lifts}}}]" in (named[0].hint or "")


def test_s12_nothing_is_sent_anywhere_for_specs_that_break_the_policy(bare: Driver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        bare.write("fleet.yaml", FLEET)
        port = listener.getsockname()[1]
        bare.write("h.yaml", host(address="127.0.0.1", ssh=f", port: {port}"))
        bare.write("s.yaml", sandbox(container="image: web:1\n      networkMode: host"))
        for words in (("validate",), ("plan",), ("apply", "--yes"), ("destroy", "web", "--yes")):
            assert "E_POLICY" in bare.run(*words).expect(1).stderr
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert not bare.status.exists()


# S14, and what of it a load can tell: nothing of ours is mounted ------------------------------------------------------

HOME = "/home/ops"
OURS_AT_HOME = {
    HOME: "the markers of all sandboxes",
    f"{HOME}/.reconciler": "the markers of all sandboxes",
    f"{HOME}/.reconciler/lab": "the markers of all sandboxes",
    f"{HOME}/.reconciler/lab/.host-id": "our own .host-id",
    f"{HOME}/.reconciler/lab/.lock": "our own .lock",
    f"{HOME}/.reconciler/lab/0123abcd": "the marker of a sandbox",
    f"{HOME}/.reconciler/lab/0123abcd/data": "another sandbox's folder",
    f"{HOME}/.reconciler/other": "the folders of every fleet",
    f"{HOME}/.reconciler/other/0123abcd/data": "the folders of every fleet",
    "/data/people/ops/.reconciler/lab/0123abcd/data": "the folders of every fleet",
}


@pytest.mark.parametrize("path", OURS_AT_HOME)
def test_s14_a_base_folder_in_a_home_is_not_mounted_though_only_the_host_knows_where_it_is(
    path: str, tmp_path: Path
) -> None:
    fleet = f"{FLEET}spec: {{policy: {{mounts: [/]}}}}\n"
    found = denied(tmp_path, f"mounts: {{/x: {{path: {path}}}}}", fleet=fleet)
    assert found.code == "E_POLICY_MOUNT"
    assert OURS_AT_HOME[path] in found.message


def test_s14_the_folder_of_another_sandbox_is_not_mounted(tmp_path: Path) -> None:
    based = host(rest="  baseDir: /srv/lab\n")
    own = next(iter(lower(documents(tmp_path, h=based, s=sandbox())).sandboxes.values())).uid
    for uid, wrong in ((own, set()), ("0123abcd", {"E_POLICY_MOUNT"})):
        mounting = sandbox(container=f"image: web:1\n      mounts: {{/x: {{path: /srv/lab/{uid}/data}}}}")
        assert codes(problems(tmp_path, h=based, s=mounting)) == wrong


def test_s14_docker_is_given_mounts_and_never_binds() -> None:
    source = "\n".join(path.read_text() for path in sorted((Path(__file__).parents[2] / "reconciler").rglob("*.py")))
    assert '"Binds"' not in source
    assert '"Mounts": [' in source


@pytest.mark.parametrize("path", [b.BASE_DIR, b.HOME, f"{b.BASE_DIR}/0123abcd/data", "/var/lib", "/var/lib/docker/x"])
def test_s14_a_plan_holds_what_would_mount_a_folder_that_only_the_host_tells(path: str) -> None:
    one = b.a_sandbox(resources=(b.a_container(mounts={"/x": Mount("bind", path)}),))
    made = decide(b.a_desired(one))
    assert [(held.sandbox, held.reason) for held in made.held] == [(one.name, "PolicyMount")]


def test_s14_a_plan_lets_a_sandbox_have_its_own_folder() -> None:
    own = Mount("bind", f"{b.BASE_DIR}/{b.a_sandbox().uid}/data")
    made = decide(b.a_desired(b.a_sandbox(resources=(b.a_container(mounts={"/x": own}),))))
    assert made.held == ()


# S18: a secret is a reference -----------------------------------------------------------------------------------------

LITERALS = {
    'env: {PASSWORD: "hunter2"}': "env.PASSWORD",
    'env: {DB_PASSWORD: "hunter2"}': "env.DB_PASSWORD",
    'env: {PGPASSWORD: "hunter2"}': "env.PGPASSWORD",
    'env: {db_password: "hunter2"}': "env.db_password",
    'env: {KEY_PASSPHRASE: "hunter2 hunter2"}': "env.KEY_PASSPHRASE",
    'env: {API_KEY: "hunter2hunter2"}': "env.API_KEY",
    'env: {HF_TOKEN: "hf_hunter2hunter2"}': "env.HF_TOKEN",
    'env: {AWS_SECRET_ACCESS_KEY: "hunter2/hunter2+hunter2"}': "env.AWS_SECRET_ACCESS_KEY",
    'env: {CLIENT_SECRET: "hunter2hunter2"}': "env.CLIENT_SECRET",
    'env: {URL: "postgres://app:hunter2@db/app"}': "env.URL",
    'env: {URL: "redis://:hunter2@cache:6379"}': "env.URL",
    'command: [serve, "--password=hunter2"]': "command[1]",
    'command: [serve, "--api-key=hunter2hunter2"]': "command[1]",
    'command: [curl, "https://bot:hunter2@example.org/x"]': "command[1]",
    'entrypoint: ["/run", "--db=mysql://root:hunter2@db/"]': "entrypoint[1]",
}
HARMLESS = [
    'env: {PASSWORD: ""}',
    "env: {PASSWORD_FILE: /run/secrets/password}",
    "env: {DB_PASSWORD: /run/secrets/password}",
    'env: {MAX_TOKENS: "4096", PAD_TOKEN: "[PAD]", EOS_TOKEN: "<|end|>", TOKEN: "false"}',
    'env: {HF_TOKEN_PATH: /root/token, PWD: /work, KEY: main, PUBLIC_KEY: "ssh-ed25519 AAAAC3NzaC1lZDI1"}',
    'env: {URL: "https://example.org:8443/a@b", MAIL: "ops@example.org", WHEN: "12:30"}',
    'env: {IMAGE: "docker://busybox:1@sha256:0123456789"}',
    'command: [git, clone, "git@example.org:a/b", "--token-file=/run/token"]',
]


@pytest.mark.parametrize("text", LITERALS)
def test_s18_a_credential_that_is_written_out_is_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    (found,) = problems(tmp_path, **in_container(text))
    assert (found.code, found.field) == ("E_SECRET_LITERAL", f"spec.containers.main.{LITERALS[text]}")
    assert "hunter2" not in f"{found.message}{found.hint}{found.field}"
    assert "${secret:NAME}" in (found.hint or "")


@pytest.mark.parametrize("text", HARMLESS)
def test_s18_what_only_looks_like_one_is_left_alone(text: str, tmp_path: Path) -> None:
    assert problems(tmp_path, **in_container(text)) == ()


@pytest.mark.parametrize(
    ("file", "bad"),
    [
        ('format: env, content: {DB_PASSWORD: "hunter2"}', True),
        ('format: env, content: {A: "${secret:key}", DB_PASSWORD: "hunter2"}', True),
        ('content: "db: postgres://app:hunter2@db/"', True),
        ('format: env, content: {DB_PASSWORD: "${secret:key}", URL: "postgres://app:${secret:key}@db/"}', False),
        ('content: "db: postgres://app:${secret:key}@db/"', False),
    ],
)
def test_s18_a_file_holds_no_written_credential_either(file: str, *, bad: bool, tmp_path: Path) -> None:
    fleet = f"{FLEET}spec: {{secrets: {{key: {{file: /srv/key}}}}}}\n"
    found = problems(tmp_path, fleet=fleet, h=host(), s=sandbox(rest=f"  files: {{f: {{path: f, {file}}}}}\n"))
    assert codes(found) == ({"E_SECRET_LITERAL"} if bad else set())
    assert "hunter2" not in str([(one.message, one.hint) for one in found])


def test_s18_a_credential_that_comes_by_a_profiles_input_is_found_where_it_was_said(tmp_path: Path) -> None:
    profile = (
        "apiVersion: reconciler/v1\nkind: Profile\nmetadata: {name: db}\nspec:\n"
        "  inputs: {type: object, properties: {pw: {type: string}}}\n"
        '  sandbox: {containers: {main: {image: "db:1", env: {POSTGRES_PASSWORD: "${inputs.pw}"}}}}\n'
    )
    wanted = (
        "apiVersion: reconciler/v1\nkind: Sandbox\nmetadata: {name: web}\n"
        "spec: {host: h1, profile: db, inputs: {pw: hunter2}}\n"
    )
    found = problems(tmp_path, h=host(), p=profile, s=wanted)
    assert codes(found) == {"E_SECRET_LITERAL"}
    assert "hunter2" not in str([(one.message, one.hint) for one in found])


# S13 and S14 on a real host -------------------------------------------------------------------------------------------


POWERS = {
    "privileged": ["--privileged"],
    "pid=host": ["--pid=host"],
    "uts=host": ["--uts=host"],
    "userns=host": ["--userns=host"],
    "sysctl=net.ipv4.ip_forward=1": ["--sysctl", "net.ipv4.ip_forward=1"],
    "seccomp=unconfined": ["--security-opt", "seccomp=unconfined"],
}


@pytest.mark.lab
def test_s12_what_no_spec_may_ask_for_is_not_kept_by_adopting_it_either(fleet: Driver, alpha: LabHost) -> None:
    """Adopt a container that somebody made with every power: it must differ from what the specs want, and go."""
    name = name_of(fleet, "web")
    fleet.drop("Host", "beta")
    fleet.declare_sandbox("web", host="alpha", containers={"main": {"image": "lab/web:1"}})
    words = [word for words in POWERS.values() for word in words]
    full_id = alpha.docker("create", "--name", name, *words, "lab/web:1").strip()
    try:
        fleet.run("adopt", full_id, "--yes").expect(0, 3)  # it was never started
        (action,) = fleet.run("plan", "-o", "json").expect(0).json["actions"]
        assert action["action"] == "replace"
        told = {power: [one for one in action["changes"] if power in (one["old"] or "")] for power in POWERS}
        assert [power for power, changes in told.items() if not changes] == []
    finally:
        alpha.docker("rm", "-f", name)


@pytest.mark.lab
def test_s13_what_nobody_asked_for_is_set_and_reads_back(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    seen = inspect(alpha, name_of(fleet, "web"))["HostConfig"]
    assert seen["PidsLimit"] == 4096
    assert seen["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}
    assert seen["Init"] is True
    assert (seen["Privileged"], seen["CapAdd"] or [], seen["PidMode"], seen["UTSMode"]) == (False, [], "", "")
    assert (seen["IpcMode"], seen["UsernsMode"], seen["Devices"] or []) == ("private", "", [])


@pytest.mark.lab
def test_s13_a_hardened_fleet_takes_everything_away_that_it_says(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha", container={"volumes": {"tmp": "/tmp"}})
    settle(fleet)
    assert "is writable" in alpha.docker("exec", name_of(fleet, "web"), "sh", "-c", "touch /x && echo is writable")
    fleet.declare_fleet(policy={"hardened": True})
    settle(fleet)
    seen = inspect(alpha, name_of(fleet, "web"))["HostConfig"]
    assert (seen["CapDrop"], seen["SecurityOpt"], seen["ReadonlyRootfs"]) == (["ALL"], ["no-new-privileges"], True)
    said = alpha.docker("exec", name_of(fleet, "web"), "sh", "-c", "touch /x 2>&1; touch /tmp/x && echo fine")
    assert "Read-only file system" in said
    assert "fine" in said


def test_s13_a_profile_that_must_write_to_its_root_is_named_in_the_fleet(tmp_path: Path) -> None:
    profile = (
        "apiVersion: reconciler/v1\nkind: Profile\nmetadata: {name: old}\n"
        "spec: {sandbox: {containers: {main: {image: web:1}}}}\n"
    )
    wanted = "apiVersion: reconciler/v1\nkind: Sandbox\nmetadata: {name: web}\nspec: {host: h1, profile: old}\n"

    def root_of(policy: str) -> tuple[bool, tuple[str, ...]]:
        fleet = f"{FLEET}spec: {{policy: {{{policy}}}}}\n"
        made = lower(documents(tmp_path, fleet=fleet, h=host(), p=profile, s=wanted)).sandboxes["web"].containers[0]
        return made.read_only, made.cap_drop

    assert root_of("hardened: false") == (False, ())
    assert root_of("hardened: true") == (True, ("ALL",))
    assert root_of("hardened: true, allow: [{profile: old, writableRoot: true}]") == (False, ("ALL",))
    assert root_of("hardened: true, allow: [{profile: other, writableRoot: true}]") == (True, ("ALL",))


@pytest.mark.lab
def test_s14_a_source_that_is_not_there_is_refused_and_not_made(fleet: Driver, alpha: LabHost) -> None:
    missing = alpha.home / "allowed/missing"
    fleet.declare_fleet(policy={"mounts": [str(missing.parent)]})
    web_sandbox(fleet, "web", "alpha", container={"mounts": {"/x": {"path": str(missing)}}})
    assert "E_MOUNT_MISSING" in fleet.run("apply", "--yes", "--json").expect(1).stdout
    assert not missing.parent.exists()
