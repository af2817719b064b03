"""S19, S20 and S21: secrets that nobody could guess go everywhere that one may stand, and come out nowhere.

One story of a fleet is played once: planned, applied, failed, broken, rotated and destroyed. All that was said, written
and shown by the kernel meanwhile is kept, and searched by the tests.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.e2e.driver import TRACEBACK, Driver, Ran
from tests.e2e.sights import inspect, name_of, until
from tests.e2e.warm import Warm
from tests.lab.host import LabHost
from tests.security.canary import files_below, forms, hatch, sightings
from tests.security.watch import Watch, watching

pytestmark = pytest.mark.lab

URL = "postgres://app:${secret:main}@db/app"
SAYS = (
    'env; echo "it is $TOKEN"; echo "$TOKEN" | base64; echo "x$TOKEN" | base64 | tr +/ -_; echo "$MULTI"; '
    'echo "$TOKEN" | sed \'s,%,%25,g; s,/,%2F,g; s,+,%2B,g; s,",%22,g; s,&,%26,g\'; '
    'echo "$TOKEN" | sed \'s,",\\\\",g\' >&2; exit 3'
)
BREAK = """
import sys
import reconciler.host.effects.perform as perform
def broken(container, *, labels):
    values = dict(container.env)
    return len(values) / 0
perform.create_body = broken
sys.argv = ["reconcile", "apply", "--yes", *sys.argv[1:]]
from reconciler.cli import main
main()
"""
BREAK_WHOLE = """
import sys
from reconciler.model.redaction import Redactor
def broken(self, values):
    kept = list(values)
    return len(kept) / 0
Redactor.__init__ = broken
sys.argv = ["reconcile", "plan"]
from reconciler.cli import main
main()
"""


class Story:
    """Hold what was said and seen while the story was played."""

    def __init__(self, driver: Driver, host: LabHost, registry: str) -> None:
        self.driver = driver
        self.host = host
        self.registry = registry
        self.said: list[Ran] = []
        self.canaries: dict[str, str] = {}
        self.kept: list[tuple[str, bytes]] = []
        self.watch: Watch | None = None
        self.secret_files: dict[str, tuple[int, bytes]] = {}
        self.labels: list[dict[str, str]] = []
        self.inside: list[str] = []

    @property
    def vault(self) -> Path:
        """Give the folder with the values themselves."""
        return self.driver.folder / "vault"

    def keep(self, name: str, value: str) -> dict[str, str]:
        """Put a canary into a file, and give its declaration."""
        self.canaries[name if name not in self.canaries else f"{name}, rotated"] = value
        self.vault.mkdir(mode=0o700, exist_ok=True)
        (self.vault / name).write_text(f"{value}\n")
        return {"file": str(self.vault / name)}

    def run(self, *words: str, fresh: bool = False, env: dict[str, str] | None = None) -> Ran:
        """Run one command, and keep what it said."""
        ran = self.driver.run(*words, fresh=fresh, env=env)
        self.said.append(ran)
        return ran

    def keep_files(self) -> None:
        """Keep every file that we may have written by now, here and on the host."""
        self.kept += files_below(self.driver.folder, but=self.vault.rglob("*"))
        self.keep_log("sshd.log")

    def keep_log(self, name: str) -> None:
        """Keep what a server of the host has written by now."""
        path = Path(self.host.record.folder) / name
        self.kept.append((str(path), path.read_bytes()))


@pytest.fixture(scope="module")
def story(
    stocked_hosts: tuple[LabHost, LabHost], warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """Play the story."""
    driver = Driver(tmp_path_factory.mktemp("canary") / "work", fleet="canary", warm=warm)
    try:
        with _parrot() as registry:
            told = Story(driver, stocked_hosts[0], registry)
            _declare(told)
            _plan_and_apply(told)
            _look_and_rotate(told)
            _fail(told)
            _break(told)
            _end(told)
        yield told
    finally:
        driver.clear(stocked_hosts[0])


class _Parrot(BaseHTTPRequestHandler):
    """Ask for a login, and repeat it in the refusal: a stand-in for a registry that is no friend."""

    def log_message(self, *_: object) -> None:
        """Say nothing on the test's own output."""

    def do_GET(self) -> None:
        login = self.headers.get("Authorization")
        body = json.dumps({"errors": [{"code": "DENIED", "message": f"not with {login}"}]}).encode()
        self.send_response(401 if login is None else 403)
        self.send_header("WWW-Authenticate", 'Basic realm="lab"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # the name that the server looks for


@contextmanager
def _parrot() -> Iterator[str]:
    """Run the registry on this machine, whose network the hosts share, and give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Parrot) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _declare(told: Story) -> None:
    driver = told.driver
    login = {"host": told.registry, "username": "puller", "password": "${secret:hub}"}
    kept = {name: told.keep(name, hatch()) for name in ("main", "hub")} | {"multi": told.keep("multi", hatch(lines=3))}
    driver.declare_fleet(secrets=kept, registries=[login])
    driver.declare_host(told.host)
    key = told.host.identity_file.read_text().splitlines()
    told.canaries["a line of the private key"] = key[len(key) // 2]
    told.canaries["of the controller's environment"] = hatch()
    main: dict[str, Any] = {
        "image": "lab/busybox:1",
        "env": {"TOKEN": "${secret:main}", "URL": URL, "MULTI": "${secret:multi}"},
        "command": ["sh", "-c", 'while :; do echo "$TOKEN"; sleep 1; done', "--token=${secret:main}"],
        "mounts": {"/run/note": {"file": "note", "readOnly": True}},
        "stopGrace": "1s",
    }
    files = {
        "note": {"path": "note", "mode": "0600", "content": "password=${secret:main}\n"},
        "many": {"path": "many", "mode": "0600", "content": "${secret:multi}"},
        "vars": {"path": "vars", "mode": "0400", "format": "env", "content": {"TOKEN": "${secret:main}", "URL": URL}},
    }
    ready = {"says": {"log": {"container": "main", "pattern": "c4"}}}
    driver.declare_sandbox("holder", host=told.host.name, containers={"main": main}, files=files, readiness=ready)


def _plan_and_apply(told: Story) -> None:
    told.run("validate").expect(0)
    told.run("validate", "-o", "json").expect(0)
    for form in ("table", "wide", "json", "yaml", "name"):
        told.run("plan", "-o", form).expect(0)
    told.run("plan", "--json").expect(0)
    told.run("plan", "--out", "saved.plan").expect(0)
    (told.driver.folder / "tmp").mkdir()
    own = {"CI_TOKEN": told.canaries["of the controller's environment"], "TMPDIR": str(told.driver.folder / "tmp")}
    on_host = {name: value for name, value in told.canaries.items() if not name.startswith("of the controller")}
    with watching(*on_host.values()) as watch:
        running = told.driver.start("apply", "--yes", "--json", env=own)
        watch.root = running.process.pid
        told.said.append(running.wait().expect(0))
    told.watch = watch
    _look_at_host(told)


def _look_at_host(told: Story) -> None:
    """Note what the host holds where a secret belongs, and keep the rest of it."""
    name = name_of(told.driver, "holder")
    seen = inspect(told.host, name)
    told.labels.append(seen["Config"]["Labels"])
    told.inside = seen["Config"]["Env"]
    base = Path(told.driver.base_dir(told.host))
    for path in base.rglob("*"):
        if path.is_file() and path.name in {"note", "many", "vars"}:
            told.secret_files[path.name] = (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        elif path.is_file():
            told.kept.append((str(path), path.read_bytes()))


def _look_and_rotate(told: Story) -> None:
    for form in ("table", "wide", "json", "yaml", "name"):
        told.run("status", "-o", form).expect(0)
    for form in ("table", "json", "yaml"):
        told.run("inspect", "host", told.host.name, "-o", form).expect(0)
    for words in (("doctor",), ("doctor", "--json"), ("schema", "--check"), ("--version",)):
        told.run(*words)
    assert told.run("plan", "--detailed-exitcode").expect(0)
    told.keep("main", hatch())
    for form in ("wide", "json"):
        ran = told.run("plan", "-o", form, "--detailed-exitcode").expect(2)
        assert "(secret)" in ran.stdout
    told.said.append(told.driver.run_at_terminal("apply", "--yes").expect(0))
    _look_at_host(told)


def _fail(told: Story) -> None:
    env = {"TOKEN": "${secret:main}", "MULTI": "${secret:multi}"}
    loud = {"image": "lab/busybox:1", "command": ["sh", "-c", SAYS], "env": env, "restart": "no", "stopGrace": "1s"}
    never = {"up": {"log": {"container": "main", "pattern": "never"}, "timeout": "3s"}}
    asking = {**loud, "command": ["sleep", "600"]}
    asked = {"container": "main", "command": ["sh", "-c", 'echo "$TOKEN"; echo "$MULTI" >&2; exit 1']}
    told.keep_log("dockerd.log")  # of what a registry says, the engine writes down what it likes
    driver, host = told.driver, told.host.name
    driver.declare_sandbox("loud", host=host, containers={"main": loud}, readiness=never)
    driver.declare_sandbox(
        "asking", host=host, containers={"main": asking}, readiness={"up": {"exec": asked, "timeout": "1s"}}
    )
    driver.declare_sandbox(
        "pulls", host=host, containers={"main": {"image": f"{told.registry}/lab/none:1", "env": env}}
    )
    said = [told.run("apply", "--yes").expect(1)]
    said.append(told.run("apply", "--yes", "--json").expect(1, 3))
    assert "not with Basic cHVsbGVyOm(secret)" in said[0].stdout, "the registry was shown the login, and repeated it"
    assert all("(secret)" in ran.stdout + ran.stderr for ran in said), "what the containers printed was shown"
    for form in ("wide", "json"):
        told.run("status", "-o", form)
    locked = driver.folder / "vault/locked"
    key = asyncssh.generate_private_key("ssh-ed25519")
    locked.touch(mode=0o600)
    told.canaries["a passphrase"] = hatch()
    locked.write_bytes(key.export_private_key("pkcs8-pem", passphrase=told.canaries["a passphrase"]))
    driver.declare_host(told.host, ssh={"identityFile": str(locked)})
    told.run("plan").expect(3)
    told.run("doctor")
    driver.declare_host(told.host)


def _break(told: Story) -> None:
    """Break the program itself, where it holds the values."""
    for name in ("loud", "asking", "pulls"):
        told.driver.drop("Sandbox", name)
    told.run("apply", "--yes", "--allow-destroy", "3").expect(0)
    told.driver.declare_sandbox(
        "next", host=told.host.name, containers={"main": {"image": "lab/busybox:1", "env": {"T": "${secret:main}"}}}
    )
    shown = {"RECONCILE_TRACEBACK": "1", "PYTHONFAULTHANDLER": "1", "PYTHONASYNCIODEBUG": "1"}
    for code, more in ((BREAK, {}), (BREAK, shown), (BREAK_WHOLE, shown)):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=told.driver.folder,
            env=told.driver.env(more),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        told.said.append(Ran(words=("broken",), exit=done.returncode, stdout=done.stdout, stderr=done.stderr))
        assert done.returncode == 1
        assert "ZeroDivisionError" in done.stderr
        assert (TRACEBACK in done.stderr) == bool(more)


def _end(told: Story) -> None:
    told.run("destroy", "holder", "--yes").expect(0, 3)
    told.run("status", "-o", "json").expect(0)
    told.keep_files()


# What was found.


def test_s19_no_value_is_in_anything_that_was_said(story: Story) -> None:
    said = [(f"{' '.join(ran.words)} ({ran.exit})", f"{ran.stdout}\0{ran.stderr}".encode()) for ran in story.said]
    assert len(said) > 30
    assert sightings(story.canaries, said) == []


def test_s19_no_value_is_in_any_file_that_was_written(story: Story) -> None:
    written = [name for name, _ in story.kept]
    for part in ("saved.plan", "events.jsonl", "outcomes.json", "plan.json", "fleet.json", "sshd.log", "dockerd.log"):
        assert any(part in name for name in written), part
    assert any(".reconciler.json" in name for name in written), "the marker"
    assert sightings(story.canaries, story.kept) == []
    assert list((story.driver.folder / "tmp").iterdir()) == []


def test_s19_the_search_finds_a_value_in_every_form() -> None:
    value = hatch(lines=2)
    for form in forms(value):
        assert sightings({"it": value}, [("there", b"around " + form + b" it")])
    assert sightings({"it": value}, [("there", b"nothing")]) == []


def test_s20_no_value_is_in_the_arguments_or_the_environment_of_a_process(story: Story) -> None:
    assert story.watch is not None
    assert story.watch.samples > 5
    assert any("apply" in words for words in story.watch.commands), "it saw the command, and looked at others alike"
    assert story.watch.found == set()


def test_s20_the_watch_finds_a_value_that_is_there() -> None:
    value, other = hatch(), hatch()
    with watching(value, other) as watch:
        shown = {"PATH": os.defpath, "SHOWN": other}
        with subprocess.Popen(["sh", "-c", "read -r _", value], env=shown, stdin=subprocess.PIPE):
            until(lambda: len(watch.found) > 1, what="both to be found")
    assert {found.partition(" ")[0] for found in watch.found} == {"cmdline", "environ"}


def test_s20_values_are_where_they_were_put(story: Story) -> None:
    main = story.canaries["main, rotated"]
    multi = story.canaries["multi"]
    assert f"TOKEN={main}" in story.inside
    assert story.secret_files["note"] == (0o600, f"password={main}\n".encode())
    assert story.secret_files["many"] == (0o600, multi.encode())
    assert story.secret_files["vars"] == (0o400, f"TOKEN={main}\nURL=postgres://app:{main}@db/app\n".encode())


def test_s20_labels_hold_no_value(story: Story) -> None:
    assert len(story.labels) == 2
    assert sightings(story.canaries, [("labels", json.dumps(story.labels).encode())]) == []


def test_s07_nothing_of_ours_listens_while_it_applies(story: Story) -> None:
    assert story.watch is not None
    assert story.watch.listening == set()


def test_s10_no_shell_is_started_here(story: Story) -> None:
    assert story.watch is not None
    shells = {words for words in story.watch.commands if words and Path(words[0]).name in {"sh", "bash", "dash"}}
    assert shells == set()
    assert os.getpid() != story.watch.root
