"""Hold the fixed shell scripts that run on hosts. No data ever becomes part of their text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load_script(name: str) -> str:
    """Read one script without its comments and its indentation, which hosts would read too, e.g. `load_script("look")`.

    No script holds text in which these mean something.
    """
    text = files(__name__).joinpath(f"{name}.sh").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#")) + "\n"
