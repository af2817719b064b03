"""Take sandboxes through their lives on real hosts: every line of the decision table that a host can show."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import (
    condition,
    expect_settled,
    held,
    inspect,
    name_of,
    planned_verbs,
    run_of,
    settle,
    status_of,
    until,
    web_sandbox,
)
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def test_a_sandbox_is_created_changed_in_place_replaced_and_destroyed(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha", container={"resources": {"memory": "32MiB"}})
    web_sandbox(fleet, "other", "alpha")
    settle(fleet)
    assert "No changes" in fleet.run("plan", "--detailed-exitcode").expect(0).stdout
    created = run_of(fleet, alpha)
    assert set(created) == {name_of(fleet, "web"), name_of(fleet, "other")}

    web_sandbox(fleet, "web", "alpha", container={"resources": {"memory": "48MiB"}})
    assert planned_verbs(fleet) == {"sandbox/web": "update"}
    settle(fleet)
    assert run_of(fleet, alpha) == created, "memory is changed without a restart"
    assert inspect(alpha, name_of(fleet, "web"))["HostConfig"]["Memory"] == 48 * 1024**2

    web_sandbox(fleet, "web", "alpha", container={"env": {"MODE": "new"}})
    assert planned_verbs(fleet) == {"sandbox/web": "replace"}
    settle(fleet)
    replaced = run_of(fleet, alpha)
    assert replaced[name_of(fleet, "web")][0] != created[name_of(fleet, "web")][0]
    assert replaced[name_of(fleet, "other")] == created[name_of(fleet, "other")]
    assert status_of(fleet, "web")["generation"] == 3

    fleet.drop("Sandbox", "web")
    assert planned_verbs(fleet) == {"sandbox/web": "destroy"}
    settle(fleet)
    assert set(fleet.containers(alpha)) == {name_of(fleet, "other")}
    assert not (fleet.status / "sandboxes/web.json").exists()


def test_a_sandbox_moves_to_another_host_and_the_new_one_comes_first(
    fleet: Driver, alpha: LabHost, beta: LabHost
) -> None:
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    web_sandbox(fleet, "web", "beta")
    assert planned_verbs(fleet) == {"sandbox/web@beta": "create", "sandbox/web@alpha": "destroy"}
    applied = fleet.run("apply", "--yes", "--json").expect(0)
    started = [(line["address"], line["host"]) for line in applied.lines if line["type"] == "apply_start"]
    assert started == [("sandbox/web", "beta"), ("sandbox/web", "alpha")]
    expect_settled(fleet)
    assert fleet.containers(alpha) == {}
    assert set(fleet.containers(beta)) == {name_of(fleet, "web")}
    assert status_of(fleet, "web")["host"] == "beta"


def test_a_move_keeps_the_old_one_when_the_new_one_does_not_become_ready(
    fleet: Driver, alpha: LabHost, beta: LabHost
) -> None:
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    probe = {"web": {"exec": {"container": "main", "command": ["false"]}, "timeout": "1s"}}
    web_sandbox(fleet, "web", "beta", readiness=probe)
    fleet.run("apply", "--yes").expect(1, 3)
    assert inspect(alpha, name_of(fleet, "web"))["State"]["Running"] is True
    web_sandbox(fleet, "web", "beta")
    settle(fleet)
    assert fleet.containers(alpha) == {}


def test_zombies_are_forgotten_and_orphans_reported(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "gone", "alpha")
    web_sandbox(fleet, "stays", "alpha")
    settle(fleet)
    fleet.drop("Sandbox", "gone")
    alpha.docker("rm", "-f", name_of(fleet, "gone"))
    alpha.run("rm", "-r", "--", *alpha.run("find", fleet.base_dir(alpha), "-mindepth", "1", "-type", "d").split())
    # Its record is all that is left of one, and the other's is lost while its marker is.
    assert planned_verbs(fleet)["sandbox/gone"] == "forget"
    fleet.run("apply", "gone", "--yes").expect(0)
    assert "sandbox/gone" not in planned_verbs(fleet)
    fleet.run("apply", "--yes").expect(0)

    fleet.drop("Sandbox", "stays")
    web_sandbox(fleet, "third", "alpha")
    for path in fleet.status.glob("sandboxes/*.json"):
        path.unlink()
    assert planned_verbs(fleet) == {"sandbox/third": "create"}
    assert held(fleet)["sandbox/stays"].reason == "Orphan"
    fleet.run("apply", "--yes").expect(0)
    assert name_of(fleet, "stays") in fleet.containers(alpha)


def test_orphans_are_reaped_in_two_phases_where_the_fleet_says_so(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_fleet(reap={"mode": "apply", "olderThan": "1s", "grace": "1s"})
    web_sandbox(fleet, "orphan", "alpha")
    web_sandbox(fleet, "stays", "alpha")
    settle(fleet)
    fleet.drop("Sandbox", "orphan")
    (fleet.status / "sandboxes/orphan.json").unlink()
    until(lambda: planned_verbs(fleet) == {"sandbox/orphan": "reap"}, what="the orphan to be old enough")
    fleet.run("apply", "--yes").expect(0)
    tombs = [name for name in fleet.containers(alpha) if ".tomb-" in name]
    assert len(tombs) == 1
    assert inspect(alpha, tombs[0])["State"]["Running"] is False
    until(lambda: planned_verbs(fleet) == {"sandbox/orphan": "reap"}, what="the grace to be over")
    settle(fleet)
    assert set(fleet.containers(alpha)) == {name_of(fleet, "stays")}


def test_a_sandbox_expires_and_stays_absent_until_its_spec_changes(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "short", "alpha", ttl="1s")
    web_sandbox(fleet, "long", "alpha", ttl="1h")
    fleet.run("apply", "--yes").expect(0)
    until(lambda: planned_verbs(fleet) == {"sandbox/short": "destroy"}, what="the ttl to run out")
    fleet.run("apply", "--yes").expect(0)
    assert set(fleet.containers(alpha)) == {name_of(fleet, "long")}
    expect_settled(fleet)
    assert condition(fleet, "short", "Expired") == "True/TtlElapsed"
    web_sandbox(fleet, "short", "alpha", ttl="1h")
    assert planned_verbs(fleet) == {"sandbox/short": "create"}
    settle(fleet)
    assert set(fleet.containers(alpha)) == {name_of(fleet, "long"), name_of(fleet, "short")}


def test_protected_suspended_and_retained_sandboxes_are_left_as_they_are(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "guarded", "alpha", protect=True)
    web_sandbox(fleet, "paused", "alpha")
    web_sandbox(fleet, "kept", "alpha", deletionPolicy="Retain")
    web_sandbox(fleet, "plain", "alpha")
    settle(fleet)
    before = run_of(fleet, alpha)
    web_sandbox(fleet, "guarded", "alpha", protect=True, container={"image": "lab/web:2"})
    suspend = {"reason": "a look at it", "by": "ops", "until": "2999-01-01T00:00:00Z"}
    web_sandbox(fleet, "paused", "alpha", suspend=suspend, container={"image": "lab/web:2"})
    fleet.drop("Sandbox", "kept")
    reasons = {address: item.reason for address, item in held(fleet).items()}
    assert reasons["sandbox/guarded"] == "Protected"
    assert reasons["sandbox/paused"] == "Suspended"
    assert planned_verbs(fleet) == {}
    fleet.run("apply", "--yes").expect(3)
    assert run_of(fleet, alpha) == before
    assert condition(fleet, "paused", "Suspended") == "True/SuspendedBySpec"

    # The block that protects it is gone with its file; the host still knows.
    fleet.drop("Sandbox", "guarded")
    assert held(fleet)["sandbox/guarded"].reason == "Protected"
    fleet.run("destroy", "guarded", "--yes").expect(0, 5)
    assert name_of(fleet, "guarded") in fleet.containers(alpha)


def test_what_a_sandbox_depends_on_comes_first_and_its_failure_skips_it(fleet: Driver, alpha: LabHost) -> None:
    probe = {"web": {"exec": {"container": "main", "command": ["false"]}, "timeout": "1s"}}
    web_sandbox(fleet, "base", "alpha", readiness=probe)
    web_sandbox(fleet, "above", "alpha", dependsOn=["base"])
    failed = fleet.run("apply", "--yes", "--json").expect(1)
    errors = {line["address"]: line for line in failed.lines if line["type"] == "apply_errored"}
    assert set(errors) == {"sandbox/base", "sandbox/above"}
    assert name_of(fleet, "above") not in fleet.containers(alpha)
    web_sandbox(fleet, "base", "alpha")
    applied = settle(fleet, "--json")
    order = [line["address"] for line in applied.lines if line["type"] == "apply_start"]
    assert order == ["sandbox/base", "sandbox/above"]


def test_containers_that_are_optional_or_run_once(fleet: Driver, alpha: LabHost) -> None:
    once = {"image": "lab/busybox:1", "command": ["sh", "-c", "echo made"], "run": "once"}
    broken = {"image": "lab/busybox:1", "command": ["sh", "-c", "exit 3"], "optional": True, "restart": "no"}
    main = {"image": "lab/web:1", "dependsOn": ["setup"]}
    fleet.declare_sandbox(
        "mixed", host="alpha", observability="off", containers={"setup": once, "main": main, "extra": broken}
    )
    fleet.run("apply", "--yes").expect(0)
    assert inspect(alpha, name_of(fleet, "mixed", "setup"))["State"]["Status"] == "exited"
    assert condition(fleet, "mixed", "Ready") == "True/ProbesPassed"
    setup = run_of(fleet, alpha)[name_of(fleet, "mixed", "setup")]
    assert planned_verbs(fleet) in ({}, {"sandbox/mixed": "start"})
    fleet.run("apply", "--yes").expect(0)
    assert run_of(fleet, alpha)[name_of(fleet, "mixed", "setup")] == setup, "what runs once is not run again"


def test_an_image_that_cannot_be_had_stops_nothing(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    before = run_of(fleet, alpha)
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyRegistry) as registry:
        Thread(target=registry.serve_forever, daemon=True).start()
        image = f"127.0.0.1:{registry.server_port}/absent:1"
        web_sandbox(fleet, "web", "alpha", container={"image": image})
        failed = fleet.run("apply", "--yes", "--json").expect(1)
        registry.shutdown()
    error = next(line for line in failed.lines if line["type"] == "apply_errored")
    assert error["code"].startswith("E_IMAGE"), error
    assert image in error["@message"]
    assert run_of(fleet, alpha) == before
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    assert run_of(fleet, alpha) == before


class EmptyRegistry(BaseHTTPRequestHandler):
    """Stand in for a registry that holds nothing."""

    def do_GET(self) -> None:
        """Say that this is a registry, and that it has no such image."""
        there = self.path == "/v2/"
        body = b"{}" if there else b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
        self.send_response(200 if there else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the base class's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""
