"""The engine's words become codes, and never a terminal's commands."""

from __future__ import annotations

import pytest

from reconciler.host.docker.refusals import PullProgress, explain, explain_pull, words_of
from reconciler.host.docker.registry import RegistryLogin, find_login
from reconciler.host.foreign import DockerRefused


def refused(words: str, status: int = 500) -> DockerRefused:
    return DockerRefused(f"host h1: POST /containers/{'a' * 64}/start: {words}", status=status)


@pytest.mark.parametrize(
    ("words", "code", "named", "transient"),
    [
        ("driver failed: Bind for 127.0.0.1:80 failed: port is already allocated", "E_PORT_CONFLICT", "127.0.0.1:80",
         False),
        ("Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use", "E_PORT_CONFLICT",
         "0.0.0.0:8080", False),
        ("write /var/lib/docker/x: no space left on device", "E_HOST_DISK", "full", True),
        ("No such image: web:1", "E_IMAGE", "web:1", False),
        ('invalid mount config for type "bind": bind source path does not exist: /srv/a b', "E_MOUNT_MISSING",
         "/srv/a b", False),
        ("network sbx-lab.web.net not found", "E_NETWORK_ABSENT", "sbx-lab.web.net", False),
        ('could not select device driver "" with capabilities: [[gpu]]', "E_GPU_DRIVER", "no driver that lends GPUs",
         False),
        ("something new", "E_DOCKER_REFUSED", "something new", True),
    ],
)  # fmt: skip
def test_known_words_have_codes(words: str, code: str, named: str, transient: bool) -> None:  # noqa: FBT001 - a parameter
    why = explain(refused(words), what="web did not start")
    assert (why.code, why.transient) == (code, transient)
    assert named in why.message
    assert why.message.startswith("web did not start: ")
    assert "a" * 64 not in why.message


def test_what_the_state_says_counts_as_well() -> None:
    why = explain(refused("cannot start"), what="x", also="Bind for 0.0.0.0:1 failed: port is already allocated")
    assert why.code == "E_PORT_CONFLICT"


def test_words_are_made_harmless_and_bounded() -> None:
    assert "\x1b" not in words_of(refused("\x1b]0;evil\x07" + "x" * 10_000))
    assert words_of(refused("x" * 10_000)) == "x" * 500 + "…"


@pytest.mark.parametrize(
    ("words", "transient"),
    [
        ("pull access denied for none, repository does not exist or may require 'docker login': denied: x", False),
        ("manifest for web:9 not found: manifest unknown", False),
        ("no matching manifest for linux/arm64 in the manifest list entries", False),
        ('Get "https://r/v2/": dial tcp 127.0.0.1:1: connect: connection refused', True),
        ("toomanyrequests: You have reached your pull rate limit", True),
        ('Get "https://r/v2/": net/http: TLS handshake timeout', True),
    ],
)
def test_a_pull_is_worth_another_try_only_where_the_registry_may_change_its_mind(
    words: str, *, transient: bool
) -> None:
    why = explain_pull(refused(words), "web:9")
    assert (why.code, why.transient) == ("E_IMAGE", transient)
    assert "web:9" in why.message


def test_progress_is_said_once_for_each_new_amount() -> None:
    progress = PullProgress()

    def layer(name: str, current: int, total: int) -> dict[str, object]:
        return {"id": name, "status": "Downloading", "progressDetail": {"current": current, "total": total}}

    assert progress.line({"status": "Pulling from library/web", "id": "1"}) is None
    assert progress.line(layer("a", 0, 100_000_000)) == "pulling 0/100 MB"
    assert progress.line(layer("a", 1, 100_000_000)) is None
    assert progress.line(layer("b", 50_000_000, 240_000_000)) == "pulling 50/340 MB"
    assert progress.line({"id": "b", "status": "Downloading", "progressDetail": "evil"}) is None
    small = PullProgress()
    assert small.line(layer("a", 340_000, 912_000)) == "pulling 340/912 kB"


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("web", "docker.io"),
        ("team/web:1", "docker.io"),
        ("registry.example/web", "registry.example"),
        ("localhost/web", "localhost"),
        ("h:5000/web@sha256:1", "h:5000"),
        ("other.example/web", None),
    ],
)
def test_a_login_goes_to_its_own_registry_only(reference: str, registry: str | None) -> None:
    hosts = ("docker.io", "registry.example", "localhost", "h:5000")
    logins = tuple(RegistryLogin(host=host, username="u", password="hunter2") for host in hosts)
    found = find_login(reference, logins)
    assert (found.host if found else None) == registry
    assert "hunter2" not in repr(found)
