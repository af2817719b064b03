"""Pain 15: "deployed" is recorded though nothing changed in the container (moghtech/komodo#1205 #1381 #944).

Here Ready comes from a look at the container, a mounted file counts by its content, and status corrects itself.
"""

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import condition, name_of, planned_verbs, run_of, settle, status_of, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

READY = {"web": {"http": {"container": "main", "port": "web", "path": "/probe"}, "timeout": "2s"}}


def test_ready_is_what_the_container_answers(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha", readiness=READY)
    fleet.run("apply", "--yes").expect(1)
    assert condition(fleet, "web", "Ready") == "False/ProbeFailed", "started is not ready"
    alpha.docker("exec", name_of(fleet, "web"), "sh", "-c", "echo yes >/www/probe")
    before = run_of(fleet, alpha)
    fleet.run("apply", "--yes").expect(0)
    assert condition(fleet, "web", "Ready") == "True/ProbesPassed", "a look is enough to correct it"
    assert run_of(fleet, alpha) == before


def test_a_mounted_file_counts_by_its_content(fleet: Driver, alpha: LabHost) -> None:
    files = {"page": {"path": "page", "mode": "0644", "content": "wanted\n"}}
    mounts = {"/www/page": {"file": "page"}}
    web_sandbox(fleet, "web", "alpha", files=files, container={"mounts": mounts})
    settle(fleet)
    path = alpha.run("find", fleet.base_dir(alpha), "-name", "page").strip()
    alpha.run("sh", "-c", f"echo wrong >{path}")
    assert set(planned_verbs(fleet)) == {"sandbox/web"}
    settle(fleet)
    assert alpha.docker("exec", name_of(fleet, "web"), "cat", "/www/page") == "wanted\n"

    # Written anew, a file is another one: what is mounted must be it, or "deployed" would be a lie.
    files["page"]["content"] = "newer\n"
    web_sandbox(fleet, "web", "alpha", files=files, container={"mounts": mounts})
    settle(fleet)
    assert alpha.docker("exec", name_of(fleet, "web"), "cat", "/www/page") == "newer\n"


def test_status_corrects_itself_by_the_next_look(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha", drift="report")
    settle(fleet)
    assert condition(fleet, "web", "Ready") == "True/ProbesPassed"
    alpha.docker("stop", "-t", "1", name_of(fleet, "web"))
    fleet.run("apply", "--yes").expect(0)
    assert (condition(fleet, "web", "Ready") or "").startswith("False/"), status_of(fleet, "web")["conditions"]
    assert status_of(fleet, "web")["health"] != "Healthy"
