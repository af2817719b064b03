"""Containers replaced on every run, because what the image and the engine fill in reads back as a difference.

kreuzwerker/terraform-provider-docker#14 #25 #28 #118, ansible-collections/community.docker#934; and its reverse, a
removed key that nobody notices, community.docker#168. Against real engines: tests/integration/test_no_phantoms.py.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from reconciler.model.observed import ImageFact
from reconciler.model.resource import Container
from reconciler.model.text import bind
from tests import builders as b
from tests import strategies as worlds
from tests.unit.plan.deciding import altered, decide, exited, remembered, standing, the_action, wanted


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds.containers("main", plain=True), worlds.image_facts)
def test_what_was_just_made_needs_nothing_running_or_stopped(container: Container, image: ImageFact) -> None:
    one = b.a_sandbox(resources=(bind(replace(container, run="once"), b.bindings()),))
    images = {image.id: image, one.containers[0].image: image}
    seen = b.a_seen(one, image=image)
    for shown in (seen, exited(seen, exit_code=0)):
        made = decide(wanted(one), standing(one, containers=(shown,), images=images), remembered(one))
        assert (made.actions, made.held) == ((), ())


def test_a_key_that_was_removed_from_the_spec_is_seen() -> None:
    with_env, without = b.a_sandbox(resources=(b.a_container(env={"DEBUG": "1"}),)), b.a_sandbox()
    action = the_action(decide(wanted(without), standing(with_env), remembered(with_env)))
    assert [change.path for item in action.resources for change in item.changes] == ["containers.main.env.DEBUG"]


def test_another_id_under_the_same_tag_is_no_change() -> None:
    one = b.a_sandbox()
    newer = b.an_image(id=b.image_id("pushed again"))
    view = standing(one, images={b.an_image().id: b.an_image(), b.IMAGE: newer})
    assert decide(wanted(one), view, remembered(one)).empty


def test_a_label_of_the_image_is_no_change_and_one_of_ours_is() -> None:
    one = b.a_sandbox()
    labelled = b.an_image(labels={"org.opencontainers.image.title": "web"})
    seen = b.a_seen(one, image=labelled)
    images = {labelled.id: labelled, b.IMAGE: labelled}
    assert decide(wanted(one), standing(one, containers=(seen,), images=images), remembered(one)).empty
    other = altered(seen, labels={**seen.spec.labels, "by-hand": "1"})
    assert decide(wanted(one), standing(one, containers=(other,), images=images), remembered(one)).actions
