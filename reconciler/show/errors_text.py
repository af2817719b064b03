"""Say an error the way every command says it: one sentence, its code, and what to do."""

from __future__ import annotations

from reconciler.show.escape import shown


def error_text(message: str, *, code: str, hint: str | None = None) -> str:
    """Write `error: …` with the code, and a `hint: …` line below where there is one."""
    text = f"error: {shown(message)} [{shown(code)}]\n"
    return text if hint is None else f"{text}hint: {shown(hint)}\n"
