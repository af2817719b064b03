"""Draw a plan for people: drift first, then changes, reaps, what is held back and why, and the counts.

What is held back or refused never looks like "no changes".
"""

from __future__ import annotations

from reconciler.model.plan import Action, Bucket, Held, Plan, Verb
from reconciler.show.action_text import action_lines
from reconciler.show.escape import shown
from reconciler.show.page import Line, Page, Span, line
from reconciler.show.symbols import HELD_SYMBOL
from reconciler.show.words import count, natural, place, revision, span

UNVERSIONED = "none"
"""The revision of specs that are in no repository."""


def plan_page(plan: Plan, *, width: int, age_s: float | None) -> Page:
    """Lay a plan out.

    Args:
        plan: what to draw.
        width: columns to stay within where that is possible; values are never cut.
        age_s: how long ago the hosts were looked at, or None not to say.
    """
    drift = [action for action in plan.actions if is_drift(action)]
    reaps = [action for action in plan.actions if action.verb is Verb.REAP]
    rest = [action for action in plan.actions if not is_drift(action) and action.verb is not Verb.REAP]
    page: Page = []
    page += _section("Drift: these hosts differ from what was applied", drift, width=width)
    page += _section("Changes", rest, width=width)
    page += _section("Reaps", reaps, width=width)
    page += _held(plan, width=width)
    page += _unknown(plan)
    page += _listed(plan)
    page += _refused(plan)
    if _is_quiet(plan):
        return [*page, _no_changes(plan, age_s=age_s)]
    if not plan.actions:
        page.append(line(Span("Nothing to apply, and not everything is as wanted: see above.", "heading")))
    page.append(line(Span(summary_line(plan), "heading")))
    return page


def is_drift(action: Action) -> bool:
    """Tell whether an action only repairs what a host changed behind our back."""
    if action.bucket is Bucket.ZOMBIE_WANTED:
        return True
    changes = [change for resource in action.resources for change in resource.changes]
    changes += action.marker
    return action.bucket is Bucket.DRIFTED and all(change.origin == "drift" for change in changes)


def summary_line(plan: Plan) -> str:
    """Count a plan in one line, zeros included."""
    made = plan.summary
    counts = (
        ("create", made.create),
        ("update", made.update),
        ("replace", made.replace),
        ("destroy", made.destroy),
        ("adopt", made.adopt),
        ("forget", made.forget),
        ("reap", made.reap),
    )
    said = ", ".join(f"{number} to {verb}" for verb, number in counts)
    names = ", ".join(shown(name) for name in sorted(plan.unknown_hosts, key=natural))
    unknown = f"{count(made.unknown, 'host')} unknown{f' ({names})' if names else ''}"
    return f"Plan: {said}. {unknown}. {made.held_back} held back."


def _section(title: str, actions: list[Action], *, width: int) -> Page:
    if not actions:
        return []
    page: Page = [line(Span(title, "heading")), ()]
    for action in actions:
        page += [*action_lines(action, width=width), ()]
    return page


def _held(plan: Plan, *, width: int) -> Page:
    held = [item for item in plan.held if item.bucket is not Bucket.UNKNOWN]
    if not held:
        return []
    page: Page = [line(Span("Held back", "heading")), ()]
    for item in held:
        page += _held_lines(item, width=width)
    return [*page, ()]


def _held_lines(item: Held, *, width: int) -> Page:
    head = f"{shown(item.address)} on {shown(item.host)}"
    why = f"{item.reason}: {shown(item.message)}"
    mark = Span(f"  {HELD_SYMBOL} ", "held")
    page: Page = [line(mark, f"{head}   {why}")]
    if len(head) + len(why) + 7 > width:
        page = [line(mark, head), line(f"      {why}")]
    if item.hint is not None:
        page.append(line(Span(f"      hint: {shown(item.hint)}", "quiet")))
    return page


def _unknown(plan: Plan) -> Page:
    left: dict[str, int] = {}
    for item in plan.held:
        if item.bucket is Bucket.UNKNOWN:
            left[item.host] = left.get(item.host, 0) + 1
    names = sorted({*plan.unknown_hosts, *left}, key=natural)
    if not names:
        return []
    page: Page = [line(Span("Unknown: nothing is planned from silence", "heading")), ()]
    for name in names:
        reasons = (item.message for item in plan.held if item.host == name and item.bucket is Bucket.UNKNOWN)
        why = plan.unknown_hosts.get(name) or next(reasons, "it did not answer")
        kept = f"   {count(left.get(name, 0), 'sandbox')} left alone"
        mark = Span(f"  {HELD_SYMBOL} ", "held")
        page.append(line(mark, f"host/{shown(name)}   {shown(why)}{kept if name in left else ''}"))
    return [*page, ()]


def _listed(plan: Plan) -> Page:
    listed = [item for item in plan.matched if item.listed]
    if not listed:
        return []
    page: Page = [line(Span("Left as they are", "heading")), ()]
    page += [line(f"    sandbox/{shown(item.sandbox)} on {shown(item.host)}   {shown(item.listed)}") for item in listed]
    return [*page, ()]


def _refused(plan: Plan) -> Page:
    if not plan.refused:
        return []
    page: Page = [line(Span("Refused: a guard forbids applying this plan as it is", "bad")), ()]
    for cause in plan.refused:
        where = f"   {shown(place(cause.at))}" if cause.at is not None else ""
        page.append(line(Span("  ! ", "bad"), f"{shown(cause.text)}{where}"))
    return [*page, ()]


def _is_quiet(plan: Plan) -> bool:
    return not (plan.actions or plan.held or plan.unknown_hosts or plan.refused)


def _no_changes(plan: Plan, *, age_s: float | None) -> Line:
    matching = [item for item in plan.matched if item.bucket is Bucket.MATCHING]
    hosts = len({item.host for item in matching})
    sandboxes = count(len(matching), "sandbox")
    verb = "matches" if len(matching) == 1 else "match"
    age = "" if age_s is None else f" (observed {span(age_s)} ago)"
    what = "the specs" if plan.revision == UNVERSIONED else revision(plan.revision)
    text = f" {sandboxes} on {count(hosts, 'host')} {verb} {what}{age}."
    return line(Span("No changes.", "good"), text)
