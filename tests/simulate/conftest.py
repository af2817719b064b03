"""Let one seed be replayed by hand: `pytest tests/simulate -k simulate --seed N`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, action="append", default=[], help="play these seeds of the simulation alone")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every test of seeds the ones asked for, instead of its own."""
    asked: list[int] = metafunc.config.getoption("--seed")
    if "asked_seed" in metafunc.fixturenames:
        metafunc.parametrize("asked_seed", asked)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With seeds asked for, play nothing else; without, the replay has nothing to play."""
    asked = bool(config.getoption("--seed"))
    mine = [item for item in items if item.path.parent.name == "simulate"]
    out = {item for item in mine if ("asked_seed" in getattr(item, "fixturenames", ())) != asked}
    items[:] = [item for item in items if item not in out]
