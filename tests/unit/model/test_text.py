from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from reconciler.model.resource import Container
from reconciler.model.text import SECRET_SHOWN, Late, Template, Text, bind, is_secret
from tests.builders import a_container
from tests.strategies import containers, templates, texts

RUN, TOKEN = Late("run.id"), Late("secret:token")


def filled(*parts: str | Late, **values: str) -> Text:
    template: Text = Template(parts)
    return bind(template, {{"run": "run.id", "hub": "secret:token"}[name]: value for name, value in values.items()})


def test_a_template_whose_gaps_are_filled_is_plain_text() -> None:
    assert filled("/logs/", RUN, ".txt", run="r-7") == "/logs/r-7.txt"


def test_what_is_not_known_stays_symbolic() -> None:
    template = Template(("a", RUN, "b", TOKEN))
    assert bind(template, {"run.id": "r-7"}) == Template(("ar-7b", TOKEN))
    assert bind(template, {}) == Template(("a", RUN, "b", TOKEN))


def test_an_empty_value_is_a_value() -> None:
    assert filled(RUN, run="") == ""


def test_a_value_that_looks_like_a_gap_is_not_filled_again() -> None:
    assert filled(TOKEN, hub="${run.id}", run="r-7") == "${run.id}"


def test_structs_tuples_and_maps_are_walked() -> None:
    want = a_container(
        command=("serve", Template(("--run=", RUN))), env={"RUN": Template((RUN,)), "PLAIN": "x"}, labels={"a": "b"}
    )
    bound = bind(want, {"run.id": "r-7"})
    assert bound.command == ("serve", "--run=r-7")
    assert bound.env == {"RUN": "r-7", "PLAIN": "x"}
    assert bound.labels == {"a": "b"}


@given(containers(plain=True))
def test_binding_what_has_no_gaps_gives_the_very_same_object(want: Container) -> None:
    assert bind(want, {"run.id": "r-7"}) is want


@given(containers())
def test_binding_in_two_steps_is_binding_at_once(want: Container) -> None:
    first, second = {"run.id": "r-7", "host.home": "/home/ops"}, {"host.uid": "1000"}
    assert bind(bind(want, first), second) == bind(want, {**first, **second})


@given(templates)
def test_a_secret_is_never_written_out(template: Template) -> None:
    shown = str(template)
    assert (shown == SECRET_SHOWN) is template.is_secret
    assert "${secret:" not in shown


@given(texts)
def test_text_survives_json(text: Text) -> None:
    assert msgspec.json.decode(msgspec.json.encode(text), type=Text) == text


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("plain", False),
        (Template((RUN,)), False),
        (Template(("x", TOKEN)), True),
        ({"A": Template((TOKEN,))}, True),
        (("x", (Template((TOKEN,)),)), True),
        (a_container(env={"A": Template((TOKEN,))}), True),
        (a_container(env={"A": Template((RUN,))}), False),
        (None, False),
    ],
)
def test_a_secret_is_seen_wherever_it_hides(value: object, secret: bool) -> None:  # noqa: FBT001 - a test's parameter
    assert is_secret(value) is secret
