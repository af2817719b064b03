"""Find credentials that are written out in a spec, where only a reference to a secret may stand.

A name or an address gives them away, never their value: what is found is told without it. What looks like none, such
as a path to a file, is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from reconciler.load.documents import SandboxDocument
from reconciler.model.problem import Problem
from reconciler.model.text import Template
from reconciler.spec.container import Container

_KEY: Final = re.compile(r"(?:^|_)(?:TOKEN|SECRET|CREDENTIALS?|(?:API|ACCESS|PRIVATE|SECRET)_?KEY)$")
# Shorter ones, and those of other characters, are seldom keys: `[PAD]`, `false`, `a few words`.
_KEY_VALUE: Final = re.compile(r"(?!/)[A-Za-z0-9_.+/=~-]{8,}")
_LOGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,63}://[^\s/:@]*:[^\s/@]+@(?!sha256:)")
_HINT: Final = 'keep it in a file, declare that in the Fleet (spec.secrets), and write "${secret:NAME}"'


def literal_problems(sandbox: SandboxDocument) -> Iterator[Problem]:
    """Yield a problem for each credential in variables, commands and files of a sandbox."""
    for name, container in sandbox.spec.containers.items():
        for path, why in _in_container(container):
            yield _problem(sandbox, why, "containers", name, *path)
    for name, file in sandbox.spec.files.items():
        text = _written(file.content)
        variables = dict(line.partition("=")[::2] for line in text.splitlines()) if file.format == "env" else {}
        found = next((f"{key}: {why}" for key, why in _in_variables(variables)), None) or _fault("", text)
        if found is not None:
            yield _problem(sandbox, found, "files", name, "content")


def _in_container(container: Container) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for key, why in _in_variables({key: _written(value) for key, value in container.env.items()}):
        yield ("env", key), why
    for field, argv in (("entrypoint", container.entrypoint), ("command", container.command)):
        for index, word in enumerate(argv or ()):
            text = _written(word)
            option, _, value = text.partition("=") if text.startswith("-") else ("", "", text)
            found = _fault(option.replace("-", "_"), value)
            if found is not None:
                yield (field, index), found


def _in_variables(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in variables.items():
        why = _fault(key, value)
        if why is not None:
            yield key, why


def _fault(name: str, value: str) -> str | None:
    """Say why a value under this name is a credential, or None."""
    name = name.upper()
    if name.endswith(("PASSWORD", "PASSWD", "PASSPHRASE")) and value and not value.startswith("/"):
        return "this is a password, by its name"
    if _KEY.search(name) and _KEY_VALUE.fullmatch(value):
        return "this is a key or token, by its name"
    return "this holds an address with a password in it" if _LOGIN.search(value) else None


def _written(text: str | Template) -> str:
    """Give what the specs themselves say, without what is filled in later."""
    parts = text.parts if isinstance(text, Template) else (text,)
    return "".join(part for part in parts if isinstance(part, str))


def _problem(sandbox: SandboxDocument, why: str, *path: str | int) -> Problem:
    message = f"{why}, and it is written out for everyone who may read the specs"
    return sandbox.problem("E_SECRET_LITERAL", message, *path, hint=_HINT)
