from __future__ import annotations

import pytest

from reconciler.model.size import exact_size, round_size


@pytest.mark.parametrize(
    ("size_bytes", "said"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (-(1 << 30), "-1.0 GiB")]
)
def test_measured_sizes_are_rounded(size_bytes: float, said: str) -> None:
    assert round_size(size_bytes) == said


def test_a_difference_says_its_sign() -> None:
    assert (round_size(1 << 20, signed=True), round_size(-1, signed=True)) == ("+1.0 MiB", "-1 B")


@pytest.mark.parametrize(
    ("size_bytes", "said"), [(0, "0B"), (1000, "1000B"), (1536, "1536B"), (4 << 30, "4GiB"), (1 << 40, "1TiB")]
)
def test_wanted_sizes_are_exact(size_bytes: int, said: str) -> None:
    assert exact_size(size_bytes) == said
