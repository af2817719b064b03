"""Options of one name mean one thing: the same words, the same forms and the same help in every command."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from reconciler.cli.app import app
from reconciler.cli.options import HostOutput, Output, ProblemsOutput
from reconciler.model.access import Finding
from reconciler.show.doctor_text import doctor_json
from reconciler.show.yaml_text import yaml_text


def _commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, group
    for name, inner in getattr(group, "commands", {}).items():
        yield from _commands(inner, f"{path} {name}".strip())


OPTIONS = [
    (path, option)
    for path, command in _commands(typer.main.get_command(app))
    for option in command.params
    if option.opts
]


def test_an_option_says_the_same_in_every_command() -> None:
    said: dict[str, set[object]] = defaultdict(set)
    for _, option in OPTIONS:
        if option.opts[0].startswith("--"):
            said[option.opts[0]].add((option.help, option.metavar, tuple(option.opts)))
    # What "all" is of, each command says.
    assert {name for name, words in said.items() if len(words) > 1} == {"--all"}
    assert {"--specs", "--status", "--on", "--exclude", "--output", "--json", "--yes"} <= said.keys()


@pytest.mark.parametrize(
    ("path", "option"),
    [(path, option) for path, option in OPTIONS if option.opts[0].startswith("--")],
    ids=lambda given: given if isinstance(given, str) else given.opts[0],
)
def test_help_is_sentences(path: str, option: Any) -> None:
    assert option.help, path
    assert option.help[0].isupper()
    assert option.help.endswith(".")


def test_there_is_one_set_of_forms_for_each_kind_of_document() -> None:
    forms = {path: list(option.type.choices) for path, option in OPTIONS if "-o" in option.opts}
    assert forms == {
        "plan": list(Output),
        "status": list(Output),
        "canary": list(HostOutput),
        "doctor": list(HostOutput),
        "inspect host": list(HostOutput),
        "inspect stale": list(HostOutput),
        "validate": list(ProblemsOutput),
    }
    assert set(HostOutput) < set(Output)


def test_findings_can_be_written_as_yaml() -> None:
    findings = {"h1": [Finding(check="login", ok=True, message="user ops is let in")]}
    assert "- check: login\n" in yaml_text(doctor_json(findings))
