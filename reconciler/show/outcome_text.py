"""Report the end of an apply: what failed and why, what was skipped, and the counts."""

from __future__ import annotations

from collections import Counter

from reconciler.model.outcome import ActionEnded, PassEnded
from reconciler.model.plan import Action, Plan, Verb, address_of
from reconciler.show.delta_text import delta_line
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, line
from reconciler.show.symbols import SIGNS, symbol_of
from reconciler.show.words import count, on_host, span

LOG_LINES = 50
"""So many last lines of a failed container's output are shown; where several failed, they share this many."""
LOG_LINES_MIN = 10

_COUNTED_AS = {Verb.START: Verb.UPDATE, Verb.RESTART: Verb.UPDATE}
_DONE = (Verb.CREATE, Verb.UPDATE, Verb.REPLACE, Verb.DESTROY, Verb.ADOPT, Verb.FORGET, Verb.REAP)
_NOT_DONE = ("failed", "unknown", "skipped", "interrupted")
_HARMLESS = ("skipped", "interrupted")
_MANY = 4
"""From this many actions on, one reason that they share is said once."""

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
    page += _undone([(action, results[action.id]) for action in plan.actions if action.id in results])
    for host, holder in sorted(ended.locked.items()):
        page += [(), line(Span("  ? ", "held"), f"host/{shown(host)} is locked by {shown(holder)}: nothing was sent")]
    if page:
        page.append(())
    page.append(line(Span(applied_line(plan, ended), "heading")))
    return page


def not_ready_page(found: tuple[ActionEnded, ...]) -> Page:
    """Name the sandboxes that are as wanted and do not answer their probes."""
    page: Page = []
    for item in found:
        host, _, name = item.id.partition("/")
        page.append(line(Span("  ! ", "bad"), Span(f"{on_host(address_of(name), host)}   is not ready", "heading")))
        page.append(line(f"      error: {shown(item.message)}"))
    noun = "sandbox is" if len(found) == 1 else "sandboxes are"
    page.append(line(Span(f"{len(found)} {noun} as the specs say and not ready.", "heading")))
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
    head = on_host(action.address, action.host)
    page: Page = [line(Span(f"  {symbol_of(action):<3} ", sign.style), f"{head}   {sign.done}{ready}")]
    page += [line(f"      warning: {shown(text)}") for text in (result.message, *result.warnings) if text]
    if deltas and result.delta is not None:
        page.append(line(Span(f"      {delta_line(result.delta)}", "quiet")))
    return page


def _undone(ends: list[tuple[Action, ActionEnded]]) -> Page:
    """Tell of each action that is not done; of many that never began for one reason, together."""
    page: Page = []
    speaking = sum(1 for _, result in ends if result.logs)
    lines = max(LOG_LINES // max(speaking, 1), LOG_LINES_MIN)
    alike: dict[tuple[str, str], list[tuple[Action, ActionEnded]]] = {}
    for action, result in ends:
        if result.end != "done":
            alike.setdefault((result.end, result.message), []).append((action, result))
    for (end, _), group in alike.items():
        if end in _HARMLESS and len(group) >= _MANY:
            page += [(), *_together([action for action, _ in group], group[0][1])]
        else:
            page += [line for action, result in group for line in ((), *_not_done(action, result, lines=lines))]
    return page


def _together(actions: list[Action], result: ActionEnded) -> Page:
    names = ", ".join(on_host(action.sandbox, action.host) for action in actions)
    return [
        line(Span("  ? ", "held"), Span(f"{count(len(actions), 'action')} {result.end}", "heading")),
        line(f"      because: {shown(result.message)}{_code(result)}"),
        line(f"      {names}"),
    ]


def _not_done(action: Action, result: ActionEnded, *, lines: int) -> Page:
    head = on_host(action.address, action.host)
    is_harmless = result.end in _HARMLESS
    mark = Span("  ? ", "held") if is_harmless else Span("  ! ", "bad")
    page: Page = [line(mark, Span(f"{head}   {_SAYS[result.end]} {action.verb}", "heading"))]
    if result.message:
        kind = "because" if is_harmless else "error"
        page.append(line(f"      {kind}: {shown(result.message)}{_code(result)}"))
    if result.hint is not None:
        page.append(line(f"      hint: {shown(result.hint)}"))
    page += [line(f"      warning: {shown(text)}") for text in result.warnings]
    if result.logs:
        last = result.logs[-lines:]
        noun = "line" if len(last) == 1 else f"{len(last)} lines"
        page.append(line(Span(f"      last {noun} of its output:", "quiet")))
        page += [line(Span("        | ", "quiet"), shown(text)) for text in last]
    return page


def _code(result: ActionEnded) -> str:
    return f" [{shown(result.code)}]" if result.code else ""
