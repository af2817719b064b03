"""Hold the fixed shell scripts that run on hosts. No data ever becomes part of their text."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load_script(name: str) -> str:
    """Read one script, without its comments and indentation-only lines, e.g. `load_script("collect")`."""
    text = files(__name__).joinpath(f"{name}.sh").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")) + "\n"
