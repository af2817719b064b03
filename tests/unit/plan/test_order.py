"""Order actions by what they depend on."""

from __future__ import annotations

from tests import builders as b
from tests.unit.plan.deciding import decide, wanted


def test_a_chain_of_dependencies_may_be_longer_than_the_stack_of_the_program() -> None:
    names = [f"n{number:04}" for number in range(1500)]
    chain = [
        b.a_sandbox(name, depends_on=() if name == names[-1] else (names[index + 1],))
        for index, name in enumerate(names)
    ]
    made = decide(wanted(*chain))
    assert [action.sandbox for action in made.actions] == names[::-1]
