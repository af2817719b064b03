from __future__ import annotations

import pytest
from hypothesis import given
from msgspec.structs import replace

from reconciler.model.completion import SHM_DEFAULT_BYTES, complete
from reconciler.model.observed import ImageFact
from reconciler.model.resource import Container, Healthcheck
from reconciler.model.rule import rules
from tests.builders import a_container, an_image
from tests.strategies import containers, image_facts

# Docker merges these with the image's, so their completion may differ from what was said.
MERGED = {"entrypoint", "command", "env", "labels", "user", "working_dir", "healthcheck", "stop_signal", "shm_bytes"}


@given(containers(), image_facts)
def test_completing_twice_is_completing_once(want: Container, image: ImageFact) -> None:
    once = complete(want, image=image)
    if image.command and not once.command and not once.entrypoint:
        return  # there is nothing to run: Docker refuses it
    assert complete(once, image=image) == once


@given(containers(), image_facts)
def test_nothing_that_docker_reports_stays_open(want: Container, image: ImageFact) -> None:
    done = complete(want, image=image)
    for field in MERGED - {"healthcheck"}:
        assert getattr(done, field) is not None, field


@given(containers(), image_facts)
def test_what_the_image_cannot_touch_stays_as_said(want: Container, image: ImageFact) -> None:
    done = complete(want, image=image)
    for field in set(rules(Container)) - MERGED - {"security_opt"}:
        assert getattr(done, field) == getattr(want, field), field


@given(containers(), image_facts)
def test_what_was_said_wins_over_the_image(want: Container, image: ImageFact) -> None:
    done = complete(want, image=image)
    assert want.env.items() <= done.env.items()
    assert want.labels.items() <= done.labels.items()
    assert set(done.env) == {*want.env, *image.env}


@pytest.mark.parametrize(
    ("said", "brought", "shown"),
    [
        ((None, None), (("/e",), ("c",)), (("/e",), ("c",))),
        ((("/x",), None), (("/e",), ("c",)), (("/x",), ())),
        ((None, ("d",)), (("/e",), ("c",)), (("/e",), ("d",))),
        ((("/x",), ("d",)), (("/e",), ("c",)), (("/x",), ("d",))),
        ((None, ()), ((), ("c",)), ((), ("c",))),
    ],
)
def test_an_overridden_entrypoint_drops_the_images_command(
    said: tuple[tuple[str, ...] | None, tuple[str, ...] | None],
    brought: tuple[tuple[str, ...], tuple[str, ...]],
    shown: tuple[tuple[str, ...], tuple[str, ...]],
) -> None:
    want = a_container(entrypoint=said[0], command=said[1])
    done = complete(want, image=an_image(entrypoint=brought[0], command=brought[1]))
    assert (done.entrypoint, done.command) == shown


def test_a_health_check_merges_field_by_field() -> None:
    image = an_image(healthcheck=Healthcheck(("CMD", "true"), 2000, 1000, 500, 3))
    done = complete(a_container(healthcheck=Healthcheck(interval_ms=9000)), image=image)
    assert done.healthcheck == Healthcheck(("CMD", "true"), 9000, 1000, 500, 3)
    assert complete(a_container(), image=image).healthcheck == image.healthcheck
    assert complete(a_container(), image=an_image()).healthcheck is None


def test_defaults_of_the_engine_are_filled_in() -> None:
    done = complete(a_container(), image=an_image())
    assert (done.working_dir, done.stop_signal, done.shm_bytes) == ("/", "SIGTERM", SHM_DEFAULT_BYTES)
    assert done.user == ""


@pytest.mark.parametrize("said", ["/work/", "//work", "/work/.", "/work"])
def test_a_working_folder_is_written_as_docker_does(said: str) -> None:
    assert complete(a_container(working_dir=said), image=an_image()).working_dir == "/work"


def test_sharing_the_hosts_ipc_needs_nobody_to_ask_for_what_comes_with_it() -> None:
    want = a_container(ipc="host", security_opt=("label=disable", "no-new-privileges"))
    assert complete(want, image=an_image()).security_opt == ("no-new-privileges",)
    assert complete(replace(want, ipc="private"), image=an_image()).security_opt == want.security_opt
