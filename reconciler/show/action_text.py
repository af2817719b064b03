"""Draw one action of a plan: what happens, why, which fields differ, and what cannot be undone."""

from __future__ import annotations

import msgspec

from reconciler.model.effect import CreateContainer, DropPath, Effect, PullImage, RemoveContainer
from reconciler.model.names import parse_derived
from reconciler.model.plan import Action, Apply, FieldChange, ResourceChange, Verb, address_of
from reconciler.model.rule import Remedy
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, line
from reconciler.show.symbols import SIGNS, symbol_of
from reconciler.show.words import on_host, place, revision

HEAD_WIDTH = 47
NOT_SET = "(not set)"
KNOWN_AFTER_PULL = "(known after pull)"
FORCES = "# forces replacement"
IRREVERSIBLE = "!"


_COLUMN_MAX = 48
"""A column wider than this would push every other line of the block off the screen."""


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one line of a block before its columns are aligned."""

    irreversible: bool
    symbol: str
    name: str
    old: str = ""
    new: str = ""
    remark: str = ""
    at: str = ""

    @property
    def change(self) -> str:
        return f"{self.old} -> {self.new}" if self.old else self.new


def action_lines(action: Action, *, width: int, wide: bool = False) -> Page:
    """Lay one action out, its header first; `wide` adds what it will be and every step."""
    sign = SIGNS[action.verb]
    head = on_host(action.address, action.host)
    strategy = f"   ({action.strategy})" if action.strategy is not None else ""
    gap = " " * max(2, HEAD_WIDTH - len(head))
    page: Page = [line(Span(head, "heading"), gap, Span(f"{symbol_of(action):<3} {action.verb}", sign.style), strategy)]
    rows = [_field_row(change, irreversible=False) for change in action.marker]
    for resource in action.resources:
        rows += _resource_rows(action, resource)
    if action.verb.ends and not rows:
        rows = _ending_rows(action)
    page += _aligned(rows, width=width, style_of=action)
    if not any(resource.changes for resource in action.resources) and not action.marker:
        where = f"   {shown(place(action.cause.at))}" if action.cause.at is not None else ""
        page.append(line(f"      because: {shown(action.cause.text)}", Span(where, "quiet")))
    for note in (*_resource_notes(action), *action.notes):
        page.append(line(Span(f"      # {shown(note)}", "quiet")))
    for waits_for in action.after:
        host, _, sandbox = waits_for.partition("/")
        page.append(line(Span(f"      # after {on_host(address_of(sandbox), host)}", "quiet")))
    hidden = sum(resource.unchanged for resource in action.resources)
    if hidden:
        noun = "field" if hidden == 1 else "fields"
        page.append(line(Span(f"      # {hidden} unchanged {noun} hidden", "quiet")))
    return [*page, *_wide_lines(action)] if wide else page


def _wide_lines(action: Action) -> Page:
    will_be = [f"generation {action.generation}"] if action.generation else []
    will_be += [f"run {action.run}"] if action.run else []
    will_be += [f"revision {revision(action.revision)}"] if action.revision else []
    will_be += [f"profile {action.profile}"] if action.profile is not None else []
    page: Page = [line(Span(f"      # {shown(', '.join(will_be))}", "quiet"))] if will_be else []
    return page + [
        line(Span(f"      {number:>3}. {shown(step.title)}", "quiet")) for number, step in enumerate(action.steps, 1)
    ]


def _resource_rows(action: Action, resource: ResourceChange) -> list[_Row]:
    if resource.changes:
        return [_field_row(change, irreversible=resource.irreversible) for change in resource.changes]
    note = shown(resource.note)
    image = _image_of(action, resource) if resource.verb is Verb.CREATE else ""
    symbol = SIGNS[resource.verb].symbol
    return [_Row(irreversible=resource.irreversible, symbol=symbol, name=shown(resource.key), new=image or note)]


def _ending_rows(action: Action) -> list[_Row]:
    """Name every single thing that the end of a sandbox does, and mark what cannot be had back."""
    effects = [(step.title, step.do.effect) for step in action.steps if isinstance(step.do, Apply)]
    return [_Row(irreversible=_is_final(effect), symbol="-", name=shown(title)) for title, effect in effects]


def _is_final(effect: Effect) -> bool:
    """Tell whether what an effect takes away cannot be had back; what is put aside can."""
    is_aside = isinstance(effect, DropPath) and effect.legacy is not None and bool(effect.legacy.aside)
    return isinstance(effect, RemoveContainer | DropPath) and not is_aside


def _field_row(change: FieldChange, *, irreversible: bool) -> _Row:
    return _Row(
        irreversible=irreversible and change.remedy is Remedy.REPLACE,
        symbol="~",
        name=shown(change.path),
        old=NOT_SET if change.old is None else shown(change.old),
        new=NOT_SET if change.new is None else shown(change.new),
        remark=FORCES if change.remedy is Remedy.REPLACE else "",
        at=shown(place(change.at)),
    )


def _resource_notes(action: Action) -> list[str]:
    """Say the notes that have no line of their own."""
    return [
        f"{resource.key}: {resource.note}"
        for resource in action.resources
        if resource.note and (resource.changes or (resource.verb is Verb.CREATE and _image_of(action, resource)))
    ]


def _image_of(action: Action, resource: ResourceChange) -> str:
    """Say which image a container will be made from, and whether its id is known only once it is pulled."""
    kind, _, name = resource.key.partition("/")
    if kind != "containers":
        return ""
    effects = [step.do.effect for step in action.steps if isinstance(step.do, Apply)]
    for effect in effects:
        if isinstance(effect, CreateContainer):
            derived = parse_derived(effect.name)
            if derived is not None and derived.resource == name:
                image = effect.container.image
                pulled = any(isinstance(one, PullImage) and one.reference == image for one in effects)
                return f"image {shown(image)}{f'   {KNOWN_AFTER_PULL}' if pulled and effect.image_id is None else ''}"
    return ""


def _aligned(rows: list[_Row], *, width: int, style_of: Action) -> Page:
    """Align the columns of a block; what does not fit is put below, never cut."""
    name_width = max((len(row.name) for row in rows if len(row.name) <= _COLUMN_MAX), default=0)
    change_width = max((len(row.change) for row in rows if len(row.change) <= _COLUMN_MAX), default=0)
    remarked = any(row.remark for row in rows)
    page: Page = []
    for row in rows:
        mark = Span(f"  {IRREVERSIBLE} " if row.irreversible else "    ", "bad")
        start = (mark, Span(f"{row.symbol} ", SIGNS[style_of.verb].style))
        name, change = row.name.ljust(name_width), row.change.ljust(change_width)
        remark = f"   {row.remark.ljust(len(FORCES) if remarked else 0)}" if remarked else ""
        at = f"   {row.at}" if row.at else ""
        indent = 4 + len(row.symbol) + 1
        body = f"{name}   {change}"
        tail = f"{remark}{at}"
        if indent + len((body + tail).rstrip()) <= width:
            page.append(line(*start, body, Span(tail, "quiet")))
            continue
        below = f"{row.remark}{'   ' if row.remark and row.at else ''}{row.at}"
        if indent + len(body.rstrip()) <= width:
            page.append(line(*start, body))
        else:
            page.append(line(*start, row.name))
            page += _stacked(row)
        if below:
            page.append(line(Span(f"          {below}", "quiet")))
    return page


def _stacked(row: _Row) -> Page:
    if not row.old:
        return [line(f"          {row.new}")]
    return [line(f"          {row.old}"), line(f"       -> {row.new}")]
