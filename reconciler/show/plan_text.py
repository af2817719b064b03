"""Draw a plan for people: drift first, then changes, reaps, what is held back and why, and the counts.

What is held back or refused never looks like "no changes".
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.plan import Action, Bucket, Held, Plan, Verb, address_of
from reconciler.show.action_text import action_lines
from reconciler.show.escape import shown
from reconciler.show.lock_text import changing_lines, left_lines
from reconciler.show.page import Line, Page, Span, line, table
from reconciler.show.symbols import HELD_SYMBOL
from reconciler.show.words import count, natural, of_host, on_host, place, revision, span

_HINT = "      hint: "
UNVERSIONED = "none"
"""The revision of specs that are in no repository."""


def plan_page(
    plan: Plan,
    *,
    width: int,
    age_s: float | None,
    wide: bool = False,
    unready: tuple[str, ...] = (),
    changing: Mapping[str, str] | None = None,
    left: Mapping[str, str] | None = None,
) -> Page:
    """Lay a plan out.

    Args:
        plan: what to draw.
        width: columns to stay within where that is possible; values are never cut.
        age_s: how long ago the hosts were looked at, or None not to say.
        wide: show each step, what each sandbox will be, and what is as wanted already.
        unready: sandboxes that were not ready when an apply last asked; a plan asks no probe.
        changing: hosts that another pass was changing during the look, and who that is; holds nothing back.
        left: hosts whose last holder gave the lock not back, and who that was; told of those that the plan changes.
    """
    drift = [action for action in plan.actions if action.is_drift]
    reaps = [action for action in plan.actions if action.verb is Verb.REAP]
    rest = [action for action in plan.actions if not action.is_drift and action.verb is not Verb.REAP]
    page: Page = []
    page += _section("Drift: these hosts differ from what was applied", drift, width=width, wide=wide)
    page += _section("Changes", rest, width=width, wide=wide)
    page += _section("Reaps", reaps, width=width, wide=wide)
    page += _held(plan, width=width)
    page += _unknown(plan, width=width)
    page += _listed(plan)
    page += _matching(plan) if wide else []
    page += _unready(plan, unready)
    page += _refused(plan)
    acting = {action.host for action in plan.actions}
    locks = changing_lines(changing or {}) + left_lines(
        {name: by for name, by in (left or {}).items() if name in acting}
    )
    page += [*locks, ()] if locks else []
    if _is_quiet(plan):
        return [*page, _no_changes(plan, age_s=age_s)]
    if not plan.actions:
        page.append(line(Span("Nothing to apply, and not everything is as wanted: see above.", "heading")))
    page.append(line(Span(summary_line(plan), "heading")))
    return page


def _unready(plan: Plan, unready: tuple[str, ...]) -> Page:
    """Name what is as wanted and was not ready: that is no difference, and not fine either."""
    names = {item.sandbox: item.host for item in plan.matched if item.sandbox in unready}
    if not names:
        return []
    page: Page = [line(Span("As wanted, and not ready when an apply last asked", "heading")), ()]
    page += [
        line(Span("  ! ", "bad"), f"{on_host(address_of(name), host)}   reconcile status {shown(name)} tells why")
        for name, host in sorted(names.items(), key=lambda item: natural(item[0]))
    ]
    return [*page, ()]


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


def _section(title: str, actions: list[Action], *, width: int, wide: bool) -> Page:
    if not actions:
        return []
    page: Page = [line(Span(title, "heading")), ()]
    for action in actions:
        page += [*action_lines(action, width=width, wide=wide), ()]
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
    head = on_host(item.address, item.host)
    why = f"{item.reason}: {shown(item.message)}"
    mark = Span(f"  {HELD_SYMBOL} ", "held")
    page: Page = [line(mark, f"{head}   {why}")]
    if len(head) + len(why) + 7 > width:
        page = [line(mark, head), line(f"      {why}")]
    if item.hint is not None:
        page.append(line(Span(f"      hint: {shown(item.hint)}", "quiet")))
    return page


def _unknown(plan: Plan, *, width: int) -> Page:
    left: dict[str, list[Held]] = {}
    for item in plan.held:
        if item.bucket is Bucket.UNKNOWN:
            left.setdefault(item.host, []).append(item)
    names = sorted({*plan.unknown_hosts, *left}, key=natural)
    if not names:
        return []
    page: Page = [line(Span("Unknown: nothing is planned from silence", "heading")), ()]
    for name in names:
        held = left.get(name, [])
        why = plan.unknown_hosts.get(name) or next((item.message for item in held), "it did not answer")
        mark = Span(f"  {HELD_SYMBOL} ", "held")
        said = f"host/{shown(name)}   {shown(of_host(why, name))}"
        kept = f"{count(len(held), 'sandbox')} left alone" if held else ""
        if len(mark.text + said + kept) + 3 <= width or not held:
            page.append(line(mark, f"{said}   {kept}"))
        else:
            page += [line(mark, said), line(f"      {kept}")]
        page += _unknown_hints(name, held, width=width)
    return [*page, ()]


def _unknown_hints(name: str, held: list[Held], *, width: int) -> Page:
    """Say what to do about a host: what is known of its trouble, and the command that finds out more."""
    said = next((shown(item.hint) for item in held if item.hint is not None), None)
    doctor = f"reconcile doctor {shown(name)}"
    if said is None:
        texts = [doctor]
    elif any(item.reason == "HostNotInSpecs" for item in held):
        texts = [said]  # the specs do not know it, so there is nobody whom the doctor could look at
    else:
        both = f"{said} (more: {doctor})"
        texts = [both] if len(_HINT + both) <= width else [said, doctor]
    return [line(Span(_HINT + text, "quiet")) for text in texts]


def _listed(plan: Plan) -> Page:
    listed = [item for item in plan.matched if item.listed]
    if not listed:
        return []
    page: Page = [line(Span("Left as they are", "heading")), ()]
    page += [line(f"    {on_host(address_of(item.sandbox), item.host)}   {shown(item.listed)}") for item in listed]
    return [*page, ()]


def _matching(plan: Plan) -> Page:
    matching = [item for item in plan.matched if item.bucket is Bucket.MATCHING]
    if not matching:
        return []
    head = ("SANDBOX", "HOST", "GEN", "RUN")
    rows: list[tuple[Span | str, ...]] = [
        (shown(item.sandbox), shown(item.host), f"{item.generation}", shown(item.run) or "-") for item in matching
    ]
    return [line(Span("As wanted", "heading")), (), *table(head, rows), ()]


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
