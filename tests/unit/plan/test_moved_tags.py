"""Take a tag's new image only where a registry was asked, and hold back who was not told."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.effect import CreateContainer, PullImage
from reconciler.model.observed import HostView, ImageFact, TagUnknown
from reconciler.model.plan import Bucket, Verb
from tests import builders as b
from tests.unit.plan.deciding import decide, effects, remembered, standing, the_action, the_held, the_matched, wanted

OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
ONE = b.a_sandbox()
IMAGE = ONE.containers[0].image


def told(tag: str | TagUnknown | None, *, digests: tuple[str, ...] = (OLD,)) -> HostView:
    """Show the sandbox standing on an image that registries gave out under these digests."""
    view = standing(ONE)
    images = {
        name: replace(fact, digests=digests) if isinstance(fact, ImageFact) else fact
        for name, fact in view.images.items()
    }
    return replace(view, images=images, tags={} if tag is None else {IMAGE: tag})


def test_a_tag_that_names_what_is_there_changes_nothing() -> None:
    for view in (told(OLD), told(None), told(NEW, digests=(OLD, NEW)), told(NEW, digests=())):
        assert the_matched(decide(wanted(ONE), view, remembered(ONE))).bucket is Bucket.MATCHING


def test_a_tag_that_moved_is_pulled_by_its_digest_and_replaces_the_container() -> None:
    made = decide(wanted(ONE), told(NEW), remembered(ONE))
    action = the_action(made)
    assert action.verb is Verb.REPLACE
    (change,) = action.changes
    assert (change.path, change.origin) == ("containers.main.image", "intent")
    assert PullImage(IMAGE, NEW) in effects(action)
    (created,) = (effect for effect in effects(action) if isinstance(effect, CreateContainer))
    assert created.image_id is None, "what the tag names is known only after the pull"
    assert made.basis[b.HOST].reads[f"tag {IMAGE}"] == NEW


def test_who_is_not_there_yet_gets_what_the_tag_names_now() -> None:
    view = replace(told(NEW), containers=(), markers=())
    assert PullImage(IMAGE, NEW) in effects(the_action(decide(wanted(ONE), view)))


def test_a_tag_that_nobody_tells_holds_back() -> None:
    held = the_held(decide(wanted(ONE), told(TagUnknown("connection refused")), remembered(ONE)))
    assert held.reason == "TagUnknown"
    assert "connection refused" in held.message
