"""Known values leave every text, in each common form, and nothing else does."""

import base64
import json
import re
from collections.abc import Callable
from shlex import quote as shell_quote
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.effect import Done, NotDone, Unknown
from reconciler.model.redaction import LENGTH_MIN, Redactor
from reconciler.model.text import head_of, printable, tail_of

PLAIN = "s3cr3t-T0ken"
AWKWARD = 'pa+ss/w@rd <&> "it\'s"\t\\ é'
PEM = "-----BEGIN KEY-----\nQUJDREVGR0hJSktM\nMNOPQRSTUVWX\n==\n-----END KEY-----\n"


def go_json(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda value: value,
    "json": lambda value: json.dumps({"v": value}),
    "json of Go": go_json,
    "json in json": lambda value: json.dumps({"v": json.dumps(value)}),
    "json in json, not ASCII": lambda value: json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False),
    "json in json of Go": lambda value: go_json(json.dumps(value)),
    "json of Go in json": lambda value: json.dumps(go_json(value)),
    "json of Go in json of Go": lambda value: go_json(go_json(value)),
    "url": quote,
    "url, all": lambda value: quote(value, safe=""),
    "form": quote_plus,
    "url in small digits": lambda value: re.sub("%..", lambda found: found[0].lower(), quote(value, safe="")),
    "shell": shell_quote,
    "Python": repr,
    "ASCII": ascii,
    "escaped": printable,
    "escaped but tabs": lambda value: printable(value, kept="\t"),
    "one blank": lambda value: " ".join(value.split()),
}


@pytest.mark.parametrize("value", [PLAIN, AWKWARD])
@pytest.mark.parametrize("form", FORMS)
def test_a_value_is_hidden_in_every_form(form: str, value: str) -> None:
    text = Redactor([value]).text(f"before {FORMS[form](value)} after")
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "(secret)" in text
    assert len(text) <= len('before {"v": "\\"(secret)\\""} after')


@pytest.mark.parametrize("around", [("", ""), ("a", ""), ("ab", "z"), ("user:", ""), ("u:", "\n"), ("us:", "!!")])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("value", [PLAIN, AWKWARD, "?>~?>~?>~"])
def test_a_value_is_hidden_wherever_it_stands_in_base64(
    value: str, encode: Callable[[bytes], bytes], around: tuple[str, str]
) -> None:
    before, after = around
    written = encode(f"{before}{value}{after}".encode()).decode()
    left = Redactor([value]).text(f"auth={written}.")
    assert "(secret)" in left
    # At most one digit at each end is shared with what stands beside the value.
    assert len(left) <= len("auth=(secret).") + len(base64.b64encode(before.encode())) + 8


def test_each_line_of_a_long_value_is_hidden_and_trivial_ones_are_not() -> None:
    hide = Redactor([PEM]).text
    assert hide("it printed QUJDREVGR0hJSktM") == "it printed (secret)"
    assert hide(f"> MNOPQRSTUVWX{' ' * 3}<") == "> (secret)   <"
    assert hide("a == b") == "a == b"
    assert hide(PEM.strip()) == "(secret)"


def test_a_short_value_is_hidden_only_where_it_is_all_there_is() -> None:
    hide = Redactor(["1234"]).text
    assert hide("1234") == hide(" 1234\n") == "(secret)"
    assert hide("port 1234 is taken") == "port 1234 is taken"


@pytest.mark.parametrize("value", ["", " ", "\n", "\t\n "])
def test_an_empty_value_hides_nothing(value: str) -> None:
    hide = Redactor([value]).text
    assert [hide(text) for text in ("", " ", "words", "\n")] == ["", " ", "words", "\n"]


def test_values_that_overlap_are_hidden_as_one() -> None:
    hide = Redactor(["abcdefgh", "efghijkl", "aaaaaa"]).text
    assert hide("x abcdefghijkl x") == "x (secret) x"
    assert hide("aaaaaaaaaa") == "(secret)"
    assert hide("abcdefghabcdefgh") == "(secret)(secret)"


@pytest.mark.parametrize("length", range(3, len(PLAIN)))
def test_half_a_value_is_hidden_where_a_text_was_cut(length: int) -> None:
    hide = Redactor([PLAIN]).text
    said = f"no such user {PLAIN}"
    assert hide(head_of(said, len("no such user ") + length) + " (500)") == "no such user (secret)… (500)"
    assert hide("it said: " + tail_of(f"{PLAIN} is no user", length + 11)) == "it said: …(secret) is no user"


def test_structs_are_walked_and_what_programs_read_is_left() -> None:
    redactor = Redactor([PLAIN])
    refused = NotDone("E_X", f"bad {PLAIN}", f"not {PLAIN}", transient=True)
    assert redactor.walk(refused) == NotDone("E_X", "bad (secret)", "not (secret)", transient=True)
    assert redactor.walk((Unknown(PLAIN), {"k": [PLAIN, 1]})) == (Unknown("(secret)"), {"k": [PLAIN, 1]})
    assert redactor.walk(Done(value=PLAIN), but=frozenset({"value"})) == Done(value=PLAIN)


@given(st.text(min_size=LENGTH_MIN).filter(lambda text: len(text.strip()) >= LENGTH_MIN), st.text(), st.text())
def test_no_value_is_left_in_any_text(value: str, before: str, after: str) -> None:
    hidden = Redactor([value]).text(f"{before}{value.strip()}{after}")
    assert value.strip() not in hidden.replace("(secret)", "\0")


@given(st.text(alphabet="abc", max_size=40), st.lists(st.text(alphabet="abc", min_size=6, max_size=9), max_size=3))
def test_what_holds_no_value_is_left_as_it_is(text: str, values: list[str]) -> None:
    if not any(value in text for value in values):
        assert Redactor(values).text(text) == text
