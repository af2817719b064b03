"""F-26, and all else of pulls from a real registry, on both generations of the engine: progress, logins, deaths.

A slow link to the registry is stood in for by a proxy that holds back what passes.
"""

import asyncio
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.request import Request, urlopen

import pytest

from tests.e2e.driver import Driver, Ran
from tests.e2e.sights import condition, expect_settled, inspect, name_of, run_of, settle, web_sandbox
from tests.integration.faults.entry import killed_at
from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.packages import Generation
from tests.lab.proxy import Proxy
from tests.lab.registry import PASSWORD, USER, Registry, publish

pytestmark = pytest.mark.lab

PAGE = "/www/index.html"
WRONG = "Wr0ng-pa55word"
_DICE = random.Random(1)  # noqa: S311  # bytes that do not compress, and are the same in every run
_SLOW_S = 0.02  # for 16 KiB, so that 6 MB take about 8 s
_PROGRESS = re.compile(r"pulling (\d+)/(\d+) MB")
_ENGINES = [generation for generation in get_args(Generation) if generation != "path"]


@pytest.fixture(scope="module", params=_ENGINES)
def registry(request: pytest.FixtureRequest, lab_folder: Path) -> Iterator[Registry]:
    """Give a registry on a host of each generation, which has none of its images: `lab/app:1` and `lab/big:1`."""
    daemon = {"max-download-attempts": 1, "insecure-registries": ["172.29.0.0/16"]}
    options = HostOptions(generation=request.param, own_network=True, daemon=daemon)
    with LabHost.start(lab_folder, f"pulls-{request.param}", options) as host:
        served = Registry(host, port=5000)
        served.start()
        for name in ("app", "big"):
            layers = {f"/layer-{number}": _DICE.randbytes(2_000_000) for number in (1, 2, 3)}
            publish(host, f"{served.address}/lab/{name}:1", files={**layers, PAGE: f"{name} 1\n".encode()})
        yield served


@pytest.fixture(scope="module")
def locked(registry: Registry) -> Registry:
    """Give a registry that serves the same images to those who log in."""
    other = Registry(registry.host, port=5001, locked=True)
    other.start()
    return other


@pytest.fixture
def host(registry: Registry) -> LabHost:
    """Give the host of the registry."""
    return registry.host


@pytest.fixture
def pulling(bare: Driver, host: LabHost, registry: Registry) -> Iterator[Driver]:
    """Give a driver whose specs know this host; it is cleared of containers and images afterwards."""
    registry.start()  # where a test before this one has killed it
    bare.declare_fleet()
    bare.declare_host(host)
    yield bare
    bare.clear(host)
    host.docker("image", "prune", "--all", "--force")


def _slow_way_to(registry: Registry, *, delay_s: float) -> Proxy:
    """Give another address of the registry, behind a link that holds back each piece for so long."""
    here = f"172.29.{registry.host.record.number}.1"
    return Proxy(registry.host.address, registry.port, listen=here, delay_s=delay_s)


def _want(driver: Driver, host: LabHost, image: str, **container: Any) -> None:
    """Declare the sandbox `app`, which is ready when its web server answers."""
    ready = {"page": {"http": {"container": "main", "port": "web", "path": "/"}, "timeout": "20s"}}
    web_sandbox(driver, "app", host.name, container={"image": image, **container}, readiness=ready)


def _page(driver: Driver, host: LabHost) -> str:
    return host.docker("exec", name_of(driver, "app"), "cat", PAGE)


def _pulled(ran: Ran) -> list[tuple[int, int]]:
    """Give how far the pull was, in MB of how many, at each line of the stream that says so."""
    said = [str(line["@message"]) for line in ran.lines if line["type"] == "apply_progress"]
    return [(int(found[1]), int(found[2])) for text in said if (found := _PROGRESS.search(text))]


def _error(ran: Ran) -> dict[str, Any]:
    """Give the one message of the stream that says why the action failed."""
    (found,) = [line for line in ran.lines if line["type"] == "apply_errored"]
    return found


def _apply_until(driver: Driver, said: str, then: Callable[[], None]) -> Ran:
    """Apply, do something as soon as the stream holds `said`, and go on to the end."""
    running = driver.start("apply", "--yes", "--json")
    assert running.process.stdout is not None
    assert running.process.stderr is not None
    with running.process:
        heard: list[str] = []
        for line in running.process.stdout:
            heard.append(line)
            if said in line:
                then()
                break
        heard += running.process.stdout
        stderr = running.process.stderr.read()
    return Ran(words=running.words, exit=running.process.returncode, stdout="".join(heard), stderr=stderr)


def _log_in(driver: Driver, registry: Registry, password: str) -> Path:
    """Declare a login in the Fleet, and give the file that holds its password."""
    login = {"host": registry.address, "username": USER, "password": "${secret:hub}"}
    return driver.declare_secret("hub", password, registries=[login])


def _assert_nowhere(secret: str, driver: Driver, host: LabHost, ran: Ran) -> None:
    """Expect a secret neither in what was said, nor in a file that we wrote, nor anywhere on the host."""
    assert secret not in ran.stdout + ran.stderr
    folders = (driver.status, driver.home, host.home)
    logs = list(Path(host.record.folder).glob("*.log"))
    for path in (*logs, *(file for folder in folders for file in folder.rglob("*"))):
        assert not path.is_file() or secret not in path.read_text(errors="replace"), path


async def test_a_pull_tells_how_far_it_is_and_is_followed_by_readiness(
    pulling: Driver, host: LabHost, registry: Registry
) -> None:
    async with _slow_way_to(registry, delay_s=_SLOW_S / 4) as way:
        _want(pulling, host, f"{way.listen}:{way.port}/lab/app:1")
        ran = (await asyncio.to_thread(pulling.run, "apply", "--yes", "--json")).expect(0)

    said = _pulled(ran)
    assert len(said) > 2
    done, whole = zip(*said, strict=True)
    assert list(done) == sorted(done)
    assert max(whole) >= 6
    assert condition(pulling, "app", "Ready") == "True/ProbesPassed"
    assert _page(pulling, host) == "app 1\n"
    await asyncio.to_thread(expect_settled, pulling)


async def test_a_terminal_shows_how_far_a_pull_is(pulling: Driver, host: LabHost, registry: Registry) -> None:
    async with _slow_way_to(registry, delay_s=_SLOW_S / 4) as way:
        _want(pulling, host, f"{way.listen}:{way.port}/lab/app:1")
        ran = (await asyncio.to_thread(pulling.run_at_terminal, "apply", "--yes")).expect(0)

    assert len(set(_PROGRESS.findall(ran.stdout))) > 2
    assert "created, ready" in ran.stdout


async def test_f26_a_registry_that_dies_in_mid_pull_leaves_the_old_container_running(
    pulling: Driver, host: LabHost, registry: Registry
) -> None:
    async with _slow_way_to(registry, delay_s=0) as way:
        _want(pulling, host, f"{registry.address}/lab/app:1")
        await asyncio.to_thread(settle, pulling)
        before = run_of(pulling, host)
        _want(pulling, host, f"{way.listen}:{way.port}/lab/big:1")
        way.delay_s = _SLOW_S

        failed = await asyncio.to_thread(_apply_until, pulling, "pulling ", registry.kill)

        failed.expect(1)
        error = _error(failed)
        assert error["code"] == "E_IMAGE"
        assert error["hint"] == "is its registry up, and reachable from the host?", error["@message"]
        assert "lab/big:1 could not be pulled: " in error["@message"]
        assert run_of(pulling, host) == before, "nothing is stopped before its successor's image is there"
        assert _page(pulling, host) == "app 1\n"
        (shown,) = pulling.run("status", "-o", "json").expect(0).json["sandboxes"]
        assert (shown["sync"], shown["health"]) == ("OutOfSync", "Degraded")

        way.delay_s = 0
        registry.start()
        await asyncio.to_thread(settle, pulling)
        assert run_of(pulling, host) != before
        assert _page(pulling, host) == "big 1\n"


def test_f26_a_tag_that_nobody_has_says_so(pulling: Driver, host: LabHost, registry: Registry) -> None:
    _want(pulling, host, f"{registry.address}/lab/app:none")

    ran = pulling.run("apply", "--yes", "--json").expect(1)

    error = _error(ran)
    assert error["code"] == "E_IMAGE"
    assert "127.0.0.1:5000/lab/app:none could not be pulled: " in error["@message"]
    assert "manifest unknown" in error["@message"]
    assert error["hint"] == "check the reference, and the host's architecture"
    assert pulling.containers(host) == {}


def test_a_registry_that_wants_a_login_gets_the_one_of_the_fleet(
    pulling: Driver, host: LabHost, locked: Registry
) -> None:
    _want(pulling, host, f"{locked.address}/lab/app:1")
    refused = _error(pulling.run("apply", "--yes", "--json").expect(1))
    assert refused["code"] == "E_IMAGE"
    assert "no basic auth credentials" in refused["@message"]
    assert "`registries`" in refused["hint"]

    secret = _log_in(pulling, locked, WRONG)
    ran = pulling.run("apply", "--yes", "--json").expect(1)
    refused = _error(ran)
    assert refused["code"] == "E_IMAGE"
    assert "unauthorized: authentication required" in refused["@message"]
    assert "`registries`" in refused["hint"]
    _assert_nowhere(WRONG, pulling, host, ran)

    secret.write_text(f"{PASSWORD}\n")
    ran = pulling.run("apply", "--yes", "--json").expect(0)
    assert _page(pulling, host) == "app 1\n"
    _assert_nowhere(PASSWORD, pulling, host, ran)
    expect_settled(pulling)


def test_f26_a_tag_that_was_moved_is_taken_only_when_a_spec_asks_for_it(
    pulling: Driver, host: LabHost, registry: Registry
) -> None:
    publish(host, f"{registry.address}/lab/moving:1", files={PAGE: b"before\n"})
    _want(pulling, host, f"{registry.address}/lab/moving:1")
    settle(pulling)
    before = run_of(pulling, host)
    image = inspect(host, name_of(pulling, "app"))["Image"]

    # Under another name of the same registry, so that the host's own tag stays where it is.
    publish(host, f"localhost:{registry.port}/lab/moving:1", files={PAGE: b"after\n"})
    asked = registry.requests
    expect_settled(pulling)
    assert registry.requests == asked, "a plan asks hosts, and no registry"
    assert "No changes" in pulling.run("apply", "--yes").expect(0).stdout
    assert run_of(pulling, host) == before

    _want(pulling, host, f"{registry.address}/lab/moving:1", env={"NEW": "1"})
    settle(pulling)
    assert registry.requests == asked
    assert inspect(host, name_of(pulling, "app"))["Image"] == image, "what is there already is what a replacement gets"
    assert _page(pulling, host) == "before\n"

    seen = pulling.run("plan", "--check-images").expect(0)
    tag = r"127\.0\.0\.1:5000/lab/moving:1 \(sha256:[0-9a-f]{12}\)"
    assert re.search(rf"containers\.main\.image\s+{tag}\s+->\s+{tag}", seen.stdout), seen.stdout
    saved = pulling.folder / "moved.plan"
    pulling.run("plan", "--check-images", "--out", str(saved)).expect(0)
    pulling.run("apply", "--yes", str(saved)).expect(0)
    assert _page(pulling, host) == "after\n"
    expect_settled(pulling)
    assert "No changes" in pulling.run("apply", "--yes", "--update-images").expect(0).stdout


def test_a_registry_that_cannot_tell_holds_back_who_asked_for_its_tags(
    pulling: Driver, host: LabHost, registry: Registry
) -> None:
    _want(pulling, host, f"{registry.address}/lab/app:1")
    web_sandbox(pulling, "built", host.name, container={"image": "lab/web:1"})
    host.load_image("lab/web:1")
    settle(pulling)
    before = run_of(pulling, host)
    registry.kill()

    ran = pulling.run("apply", "--yes", "--update-images").expect(3)
    assert "TagUnknown: nobody told what 127.0.0.1:5000/lab/app:1 names in its registry now: " in ran.stdout
    assert "1 held back" in ran.stdout, "an image that no registry gave out is not asked about"
    assert run_of(pulling, host) == before
    expect_settled(pulling)


def test_f26_an_image_for_other_machines_says_so_and_stops_nothing(
    pulling: Driver, host: LabHost, registry: Registry
) -> None:
    _want(pulling, host, f"{registry.address}/lab/app:1")
    settle(pulling)
    before = run_of(pulling, host)
    _list_for(registry, "lab/app", architecture="s390x")
    _want(pulling, host, f"{registry.address}/lab/app:other")
    error = _error(pulling.run("apply", "--yes", "--json").expect(1))
    assert error["code"] == "E_IMAGE"
    assert "no matching manifest" in error["@message"]
    assert "architecture" in error["hint"]
    assert run_of(pulling, host) == before


def _list_for(registry: Registry, name: str, *, architecture: str) -> None:
    """Publish `NAME:other`, a list of images of which the only one is for machines of this architecture."""
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    place = f"http://{registry.host.address}:{registry.port}/v2/{name}/manifests"
    with urlopen(Request(f"{place}/1", headers={"Accept": kind}), timeout=20) as answer:  # noqa: S310  # our own
        size, digest = len(answer.read()), answer.headers["Docker-Content-Digest"]
    platform = {"architecture": architecture, "os": "linux"}
    one = {"mediaType": kind, "size": size, "digest": digest, "platform": platform}
    whole = "application/vnd.docker.distribution.manifest.list.v2+json"
    body = json.dumps({"schemaVersion": 2, "mediaType": whole, "manifests": [one]}).encode()
    request = Request(f"{place}/other", data=body, headers={"Content-Type": whole}, method="PUT")  # noqa: S310  # same
    with urlopen(request, timeout=20) as answer:  # noqa: S310  # same
        assert answer.status == 201


@pytest.mark.parametrize("moment", ["before_send", "after_effect", "after_reply", "after_journal"])
def test_f01_killed_around_a_pull_the_next_pass_ends_where_an_unbroken_one_would(
    pulling: Driver, host: LabHost, registry: Registry, moment: str
) -> None:
    _want(pulling, host, f"{registry.address}/lab/app:1")
    assert killed_at(pulling, f"apply.pull_image.{moment}")
    pulling.run("apply", "--yes", "--lock-timeout", "20").expect(0)
    expect_settled(pulling)
    assert condition(pulling, "app", "Ready") == "True/ProbesPassed"
    assert len(pulling.containers(host)) == 1
