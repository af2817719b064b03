"""Compare what is wanted with what is seen, field by field, and say what each difference forces.

Whole values are compared first; fields are explained only where they differ. Every rule about a field stands beside
the field (`model.resource`), so that there is one loop here and no knowledge of any single field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from reconciler.model.completion import complete
from reconciler.model.desired import SandboxDesired
from reconciler.model.marker import Marker
from reconciler.model.observed import ImageFact, SeenContainer, SeenPath
from reconciler.model.plan import FieldChange
from reconciler.model.redaction import redactor_of
from reconciler.model.resource import Container, Directory, File, Tree
from reconciler.model.rule import Remedy, Rule, rules
from reconciler.model.source import SourceRef
from reconciler.model.text import SECRET_PREFIX, SECRET_SHOWN, is_secret
from reconciler.plan.intent import same_intent
from reconciler.plan.words import in_words, tree_in_words

UNSHOWN = "(not shown)"


class Difference(msgspec.Struct, frozen=True):
    """Hold how one resource differs: its changes, and how many rule-bearing fields do not."""

    changes: tuple[FieldChange, ...]
    unchanged: int


SAME = Difference((), len(rules(Container)))
"""Says of a container that nothing differs."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a container that is wanted, in the forms that comparing needs.

    Attributes:
        raw: as the specs say it, late values symbolic: tells where secrets are.
        bound: the same with every late value of the observed run filled in.
        is_intended: tells whether it is the specs that changed since the container was made, not the host; asked only
            where something differs, since it digests the whole container.
        changed: the sandbox's specs changed since it was last applied; tells of what is set in place.
        origins: where each field was said.
        bindings: what was filled in, by name: the values under `secret:…` are shown nowhere, whoever set them.
    """

    raw: Container
    bound: Container
    is_intended: Callable[[], bool]
    changed: bool
    origins: Mapping[str, SourceRef]
    bindings: Mapping[str, str] = {}


def compare_container(
    wanted: Wanted, seen: SeenContainer, *, image: ImageFact | None, hidden: frozenset[str], adopted: bool
) -> Difference:
    """Compare a wanted container with the one that runs.

    Args:
        wanted: what is wanted.
        seen: what was inspected.
        image: facts of the image it really runs, which fill what the specs leave open; None when they are not known.
        hidden: dotted fields whose seen values are secrets by the container's own label.
        adopted: it carries no label of ours, so every seen environment value may be a secret.
    """
    want = wanted.bound
    full, have = _sides(want, seen, image=image)
    completed = image is not None and want.image == seen.spec.image
    changes: list[FieldChange] = []
    unchanged = 0
    for field, rule in rules(Container).items():
        new, old = getattr(full, field), getattr(have, field)
        if not completed and field != "image":
            new, old = _only_what_was_said(new, old)
        if _alike(field, new=new, old=old):
            unchanged += 1
            continue
        raw = getattr(wanted.raw, field)
        changes.extend(_explain(wanted, field, rule, new=new, old=old, raw=raw, hidden=hidden, adopted=adopted))
    return Difference(tuple(changes), unchanged)


def is_as_wanted(want: Container, seen: SeenContainer, *, image: ImageFact | None) -> bool:
    """Tell whether a container is what is wanted, bound, without a word about how it differs: as most are."""
    full, have = _sides(want, seen, image=image)
    return full == have


def _sides(want: Container, seen: SeenContainer, *, image: ImageFact | None) -> tuple[Container, Container]:
    """Give what is wanted, with what its image fills in where that is known, and what is seen, as comparable wholes."""
    have = seen.spec
    ours = (want.name, want.run, want.optional, want.after)
    if (have.name, have.run, have.optional, have.after) != ours:
        name, run, optional, after = ours
        have = msgspec.structs.replace(have, name=name, run=run, optional=optional, after=after)
    return (want if image is None or want.image != have.image else complete(want, image=image)), have


def _only_what_was_said(new: object, old: object) -> tuple[object, object]:
    """Leave out what an image would fill in: it cannot be compared while that image is not there."""
    if new is None:
        return None, None
    if isinstance(new, dict) and isinstance(old, dict):
        return new, {key: value for key, value in old.items() if key in new}
    return new, old


def _alike(field: str, *, new: object, old: object) -> bool:
    """Compare two canonical values; a published port that Docker was to choose is like any that it chose."""
    if new == old:
        return True
    if field != "ports" or not isinstance(new, dict) or not isinstance(old, dict) or new.keys() != old.keys():
        return False
    return all(
        want.bind == old[port].bind and want.host_port in (None, old[port].host_port) for port, want in new.items()
    )


def _explain(
    wanted: Wanted,
    field: str,
    rule: Rule,
    *,
    new: object,
    old: object,
    raw: object,
    hidden: frozenset[str],
    adopted: bool,
) -> list[FieldChange]:
    """Turn one differing field into changes: one, or one per differing key of a map."""
    path = rule.path or field
    pairs: list[tuple[str, object, object, object]] = [(path, new, old, raw)]
    if isinstance(new, dict) and isinstance(old, dict):
        raws = raw if isinstance(raw, dict) else {}
        pairs = [
            (f"{path}.{key}", new.get(key), old.get(key), raws.get(key))
            for key in sorted(new.keys() | old.keys())
            if new.get(key) != old.get(key)
        ]
    prefix = f"{wanted.raw.key.kind}.{wanted.raw.name}"
    known = redactor_of(tuple(text for name, text in wanted.bindings.items() if name.startswith(SECRET_PREFIX)))
    return [
        FieldChange(
            path=f"{prefix}.{spot}",
            old=_shown(field, known.walk(now), secret=spot in hidden or is_secret(said), adopted=adopted),
            new=_shown(field, want, secret=is_secret(said), adopted=False),
            remedy=rule.remedy_for(want),
            origin=_origin(wanted, rule, said),
            at=where_said(wanted.origins, f"{prefix}.{spot}"),
        )
        for spot, want, now, said in pairs
    ]


def _shown(field: str, value: object, *, secret: bool, adopted: bool) -> str | None:
    if value is None or value is msgspec.UNSET:
        return None
    if secret:
        return SECRET_SHOWN
    return UNSHOWN if adopted and field == "env" else in_words(field, value)


def _origin(wanted: Wanted, rule: Rule, said: object) -> Literal["intent", "drift"]:
    """Attribute a change; a secret's value is in no digest, so its change is taken as meant.

    What is set in place is in no container's digest either, also where taking it away replaces the container: there
    the whole sandbox tells.
    """
    meant = wanted.changed if rule.remedy is Remedy.IN_PLACE else wanted.is_intended()
    return "intent" if meant or is_secret(said) else "drift"


def where_said(origins: Mapping[str, SourceRef], path: str) -> SourceRef | None:
    """Find where a field was said, or the nearest thing around it."""
    while path:
        found = origins.get(path)
        if found is not None:
            return found
        path = path.rpartition(".")[0]
    return None


class Said(msgspec.Struct, frozen=True):
    """Hold where the fields of a sandbox were said, and whether they were changed since it was last applied."""

    origins: Mapping[str, SourceRef]
    intended: bool

    def change(self, path: str, *, old: str, new: str) -> FieldChange:
        """Describe a change that is made in place."""
        origin: Literal["intent", "drift"] = "intent" if self.intended else "drift"
        at = where_said(self.origins, path)
        return FieldChange(path=path, old=old, new=new, remedy=Remedy.IN_PLACE, origin=origin, at=at)


def compare_directory(want: Directory, seen: SeenPath, said: Said) -> Difference:
    """Compare a wanted directory with one that exists."""
    changes = _compare_modes(f"directories.{want.name}.mode", want.mode, seen.mode, said)
    return Difference(changes, 1 - len(changes))


def compare_tree(want: Tree, placed: str, said: Said) -> Difference:
    """Compare a wanted tree with the digest of the one that was placed whole; empty where none was."""
    if placed == want.content:
        return Difference((), 1)
    return Difference((said.change("source", old=tree_in_words(placed), new=tree_in_words(want.content)),), 0)


def compare_file(want: File, seen: SeenPath, said: Said, *, sha256: str, secret: bool) -> Difference:
    """Compare a wanted file, whose bound content has this hash, with one that exists."""
    changes = _compare_modes(f"files.{want.name}.mode", want.mode, seen.mode, said)
    if seen.sha256 != sha256:
        old, new = (SECRET_SHOWN,) * 2 if secret else (f"sha256:{(seen.sha256 or '')[:12]}", f"sha256:{sha256[:12]}")
        # A secret's value is in no digest of what was meant, so its change is taken as meant, wherever it stands.
        meant = Said(said.origins, intended=True) if secret else said
        changes = (meant.change(f"files.{want.name}.content", old=old, new=new), *changes)
    return Difference(changes, 2 - len(changes))


def _compare_modes(path: str, want: str, seen: str, said: Said) -> tuple[FieldChange, ...]:
    same = want == seen or int(want, 8) == int(seen or "0", 8)
    return () if same else (said.change(path, old=seen, new=want),)


def compare_marker(want: SandboxDesired, marker: Marker | None, *, files: tuple[str, ...]) -> tuple[FieldChange, ...]:
    """Compare what the host's marker says with what the specs say of the sandbox as a whole.

    `files` are those wanted in its folder: the marker must know each, for it alone tells later that they are ours.
    """
    if marker is None:
        return (
            FieldChange(path="marker", old=None, new="present", remedy=Remedy.IN_PLACE, origin="drift", at=want.at),
        )
    pairs = [
        ("protect", str(marker.protected).lower(), str(want.protected).lower()),
        ("deletionPolicy", marker.deletion, want.deletion),
        ("ttl", _seconds(marker.ttl_s), _seconds(want.ttl_s)),
        ("origin", marker.origin, want.origin),
        ("files", *_counted(len(set(files).intersection(marker.files)), len(files))),
    ]
    changes = [
        FieldChange(
            path=path,
            old=old,
            new=new,
            remedy=Remedy.IN_PLACE,
            origin="intent",
            at=where_said(want.origins, path) or want.at,
        )
        for path, old, new in pairs
        if old != new
    ]
    if not changes and not same_intent(marker.intent, want.intent):
        changes.append(
            FieldChange(
                path="generation",
                old=str(marker.generation),
                new=str(marker.generation + 1),
                remedy=Remedy.IN_PLACE,
                origin="intent",
                at=want.at,
            )
        )
    return tuple(changes)


def _counted(known: int, wanted: int) -> tuple[str, str]:
    return f"{known} known", f"{wanted} known"


def _seconds(value_s: int | None) -> str:
    return "none" if value_s is None else f"{value_s} s"
