"""What a container takes by itself is told the same way by every host, and of nobody but whom was asked for."""

from __future__ import annotations

from tests.contract.bench import WEB
from tests.contract.case import Case


async def test_a_running_container_is_weighed_by_its_name_and_by_its_id(case: Case) -> None:
    seen = await case.make(start=True, image=WEB)
    weights = await case.host.weigh((seen.name, seen.full_id))
    assert set(weights) == {seen.name, seen.full_id}
    for weight in weights.values():
        assert (weight.full_id, weight.name, weight.image_id) == (seen.full_id, seen.name, seen.image_id)
        assert weight.runs
        assert weight.missing == {}
        assert weight.use is not None
        assert 0 < (weight.use.memory_working_set_bytes or 0) <= (weight.use.memory_current_bytes or 0)
        assert (weight.use.cpu_usage_ns or 0) >= 0
        assert weight.use.network_bytes is not None
        assert weight.layer_bytes is not None
        assert (weight.image_bytes or 0) > 0, "no other image has its layer"


async def test_a_container_that_does_not_run_has_a_layer_and_no_control_group(case: Case) -> None:
    seen = await case.make()
    (weight,) = (await case.host.weigh((seen.full_id,))).values()
    assert not weight.runs
    assert weight.use is None
    assert "does not run" in weight.missing["use"]
    assert weight.layer_bytes == 0


async def test_whoever_is_not_there_is_not_weighed_and_no_other_in_its_place(case: Case) -> None:
    seen = await case.make()
    asked = ("0" * 64, f"{case.name}-else", seen.full_id[:12])
    assert await case.host.weigh(asked) == {}
    assert await case.host.weigh(()) == {}
