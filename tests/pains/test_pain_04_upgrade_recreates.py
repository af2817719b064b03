"""An upgrade of the tool recreates everything, because the hash of the configuration is another.

docker/compose#11335 #9897 #9600 #10307.
"""

from __future__ import annotations

from msgspec.structs import replace

from tests import builders as b
from tests.unit.plan.deciding import decide, remembered, standing, wanted

ONE = b.a_sandbox(resources=(b.a_directory(), b.a_network(), b.a_volume(), b.a_container()))


def test_what_an_older_version_made_needs_nothing() -> None:
    made_by_old = replace(b.a_seen(ONE), labels=b.labels_for(ONE, digest="0:0123456789abcdef"))
    marker = b.a_seen_marker(b.a_marker(ONE, intent="0:0123456789abcdef"))
    view = standing(ONE, containers=(made_by_old,), markers=(marker,))
    record = b.a_record(ONE, intent="0:0123456789abcdef")
    made = decide(wanted(ONE), view, b.a_records(record))
    assert (made.actions, made.held) == ((), ())


def test_a_digest_alone_never_causes_anything() -> None:
    """The fields decide; a digest only says who changed them."""
    odd = replace(b.a_seen(ONE), labels=b.labels_for(ONE, digest="1:ffffffffffffffff"))
    assert decide(wanted(ONE), standing(ONE, containers=(odd,)), remembered(ONE)).empty
