"""Report the end of an apply: what failed and why, what was skipped, and the counts."""

from __future__ import annotations

from collections import Counter

from reconciler.model.outcome import ActionEnded, PassEnded
from reconciler.model.plan import Action, Plan, Verb
from reconciler.show.delta_text import delta_line
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, line
from reconciler.show.symbols import SIGNS, symbol_of
from reconciler.show.words import span

LOG_LINES = 10
"""So many last lines of a failed container's output are shown; the outcome keeps more."""

_COUNTED_AS = {Verb.START: Verb.UPDATE, Verb.RESTART: Verb.UPDATE}
_DONE = (Verb.CREATE, Verb.UPDATE, Verb.REPLACE, Verb.DESTROY, Verb.ADOPT, Verb.FORGET, Verb.REAP)
_NOT_DONE = ("failed", "unknown", "skipped", "interrupted")
_SAYS = {
    "failed": "failed to",
    "unknown": "nobody knows the outcome of",
    "skipped": "skipped:",
    "interrupted": "interrupted:",
}


def outcome_page(plan: Plan, ended: PassEnded, *, deltas: bool) -> Page:
    """Lay it out: what went well first, so that what did not is last on the screen.

    `deltas` shows what each action did to its host.
    """
    results = {result.id: result for result in ended.actions}
    page: Page = []
    for action in plan.actions:
        result = results.get(action.id)
        if result is not None and result.end == "done":
            page += _done(action, result, deltas=deltas)
    for action in plan.actions:
        result = results.get(action.id)
        if result is not None and result.end != "done":
            page += [(), *_not_done(action, result)]
    for host, holder in sorted(ended.locked.items()):
        page += [(), line(Span("  ? ", "held"), f"host/{shown(host)} is locked by {shown(holder)}: nothing was sent")]
    if page:
        page.append(())
    page.append(line(Span(applied_line(plan, ended), "heading")))
    return page


def applied_line(plan: Plan, ended: PassEnded) -> str:
    """Count what became of a plan in one line, zeros included, and say how long it took."""
    verbs = {action.id: action.verb for action in plan.actions}
    known = [(verbs[result.id], result.end) for result in ended.actions if result.id in verbs]
    done = Counter(_COUNTED_AS.get(verb, verb) for verb, end in known if end == "done")
    ends: Counter[str] = Counter(end for _, end in known)
    # What a pass that stopped early never came to is not done either.
    ends["skipped"] += len(plan.actions) - len(known)
    well = ", ".join(f"{done[verb]} {SIGNS[verb].done}" for verb in _DONE)
    badly = ", ".join(f"{ends[end]} {end}" for end in _NOT_DONE)
    took_s = (ended.finished_at - ended.started_at).total_seconds()
    stopped = "Stopped by a person. " if ended.interrupted else ""
    return f"{stopped}Applied: {well}; {badly}. {span(took_s)}."


def _done(action: Action, result: ActionEnded, *, deltas: bool) -> Page:
    sign = SIGNS[action.verb]
    ready = ", ready" if result.ready_at is not None else ""
    head = f"{shown(action.address)} on {shown(action.host)}"
    page: Page = [line(Span(f"  {symbol_of(action):<3} ", sign.style), f"{head}   {sign.done}{ready}")]
    if result.message:
        page.append(line(f"      warning: {shown(result.message)}"))
    if deltas and result.delta is not None:
        page.append(line(Span(f"      {delta_line(result.delta)}", "quiet")))
    return page


def _not_done(action: Action, result: ActionEnded) -> Page:
    head = f"{shown(action.address)} on {shown(action.host)}"
    style: dict[str, str] = {"skipped": "held", "interrupted": "held"}
    mark = Span("  ? " if result.end in style else "  ! ", "held" if result.end in style else "bad")
    page: Page = [line(mark, Span(f"{head}   {_SAYS[result.end]} {action.verb}", "heading"))]
    code = f" [{shown(result.code)}]" if result.code else ""
    if result.message:
        kind = "because" if result.end in style else "error"
        page.append(line(f"      {kind}: {shown(result.message)}{code}"))
    if result.hint is not None:
        page.append(line(f"      hint: {shown(result.hint)}"))
    if result.logs:
        last = result.logs[-LOG_LINES:]
        noun = "line" if len(last) == 1 else f"{len(last)} lines"
        page.append(line(Span(f"      last {noun} of its output:", "quiet")))
        page += [line(Span("        | ", "quiet"), shown(text)) for text in last]
    return page
