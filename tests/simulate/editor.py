"""Edit the specs of a run: what people want of the fleet, one revision after the other."""

from __future__ import annotations

import hashlib
import random

import msgspec
from msgspec.structs import replace

from reconciler.model.desired import Desired, Reap, SandboxDesired, Suspend
from reconciler.model.digest import intent_digest
from tests.simulate import catalogue, pools
from tests.simulate.groves import VARIANTS, with_tree
from tests.simulate.later import Later

TTLS_S = (None, None, None, None, None, 2 * 24 * 3600, 4 * 24 * 3600)
WELL = tuple(sorted(set(catalogue.shapes()) - catalogue.SICK))
SICK = tuple(sorted(catalogue.SICK))
SICK_SHARE = 0.06
LATER_SHARE = 0.5
COMPOSED = "composed"
SOURCED = tuple(sorted(set(catalogue.later_shapes()) - {COMPOSED}))
SERVICES = ("web", "worker", "cron")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Say what is wanted of one sandbox.

    Attributes:
        pool: where it may be, if its spec names no host: a strategy, and the label that its hosts have, or none.
        tree: what its tree holds, of a shape that has one; services: what its compose file names.
    """

    shape: str
    version: int
    host: str
    protected: bool = False
    retain: bool = False
    report: bool = False
    ttl_s: int | None = None
    suspended: bool = False
    depends_on: tuple[str, ...] = ()
    pool: tuple[str, str] | None = None
    tree: int = 0
    services: tuple[str, ...] = ()


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the whole fleet as it is wanted at one commit; `labels` are those of each host."""

    number: int
    wishes: dict[str, Wish]
    labels: dict[str, frozenset[str]] = {}

    @property
    def commit(self) -> str:
        """Give its made-up commit."""
        return commit_of(self.number)

    @property
    def ancestors(self) -> frozenset[str]:
        """Give every commit that it contains, itself included."""
        return frozenset(commit_of(number) for number in range(self.number + 1))


def commit_of(number: int) -> str:
    """Make up the commit of a revision."""
    return hashlib.sha1(f"revision {number}".encode(), usedforsecurity=False).hexdigest()


class Editor:
    """Hold the history of the specs; the last revision is what is wanted now."""

    def __init__(
        self,
        dice: random.Random,
        hosts: tuple[str, ...],
        *,
        sandboxes_max: int,
        with_sick: bool,
        later: Later,
        later_dice: random.Random,
    ) -> None:
        self._dice = dice
        self._later, self._later_dice = later, later_dice
        self._hosts = hosts
        self._names = catalogue.NAMES[:sandboxes_max]
        self._with_sick = with_sick
        self.reap = Reap(mode=dice.choice(("report", "report", "apply")), older_than_s=1200, grace_s=1200)
        first = {name: self._draw() for name in self._names if dice.random() < 0.7}
        labels = {host: pools.draw_labels(later_dice) for host in hosts} if later.placed else {}
        self.history = [Revision(number=0, wishes=first, labels=pools.with_all(labels))]
        self.retired: set[str] = set()

    @property
    def head(self) -> Revision:
        """Give what is wanted now."""
        return self.history[-1]

    def edit(self) -> str:
        """Change one thing, and say what."""
        dice = self._dice
        wishes = dict(self.head.wishes)
        if self._later.on and self._later_dice.random() < LATER_SHARE:
            return self._edit_later(wishes)
        verb = dice.choice(
            ("add", "remove", "version", "version", "shape", "move", "flag", "back", "ttl", "depend", "purge")
        )
        name = dice.choice(self._names)
        wish = wishes.get(name)
        if verb == "back" and len(self.history) > 1:
            wishes = dict(dice.choice(self.history).wishes)
            name = "everything"
        elif verb == "purge":
            wishes = {one: wish for one, wish in wishes.items() if dice.random() < 0.3}  # a merge gone wrong
            name = "most"
        elif wish is None:
            verb, wishes[name] = "add", self._draw()
        else:
            changed = self._change(verb, wish, others=tuple(other for other in wishes if other < name))
            if changed is None:
                del wishes[name]
            else:
                wishes[name] = changed
        self._publish(wishes)
        return f"{verb} {name}"

    def drop_one(self, dice: random.Random) -> str:
        """Drop one sandbox from the specs, and say which."""
        wishes = dict(self.head.wishes)
        name = dice.choice(sorted(wishes)) if wishes else ""
        wishes.pop(name, None)
        self._publish(wishes)
        return name or "nothing"

    def freeze(self) -> None:
        """Take back what would forbid an end: nothing is suspended any more."""
        self._publish({name: replace(wish, suspended=False) for name, wish in self.head.wishes.items()})

    def _edit_later(self, wishes: dict[str, Wish]) -> str:
        """Change one thing of those that `later.py` brought, and say what."""
        dice, labels = self._later_dice, self.head.labels
        name = dice.choice(sorted(wishes)) if wishes else ""
        if self._later.placed and (not name or dice.random() < 0.25):
            host = dice.choice(self._hosts)
            labels = pools.with_all({**labels, host: pools.draw_labels(dice)})
            self._publish(wishes, labels=labels)
            return f"labels {host} {sorted(labels[host])}"
        if not name:
            return "nothing"
        wish = wishes[name]
        if self._later.placed and dice.random() < 0.3:
            wishes[name] = replace(wish, pool=pools.draw_pool(dice), host=dice.choice(self._hosts))
            what = f"pool {wishes[name].pool}"
        elif wish.shape == COMPOSED and dice.random() < 0.6:
            wishes[name] = replace(wish, services=draw_services(dice))
            what = f"services {' '.join(wishes[name].services)}"
        elif wish.shape in catalogue.later_shapes() and dice.random() < 0.8:
            wishes[name] = replace(wish, tree=dice.randrange(VARIANTS))
            what = f"tree {wishes[name].tree}"
        else:
            wishes[name] = self._with_later_shape(wish)
            what = f"shape {wishes[name].shape}"
        self._publish(wishes)
        return f"{what} of {name}"

    def _with_later_shape(self, wish: Wish) -> Wish:
        """Give a wish perhaps a tree, or a compose file."""
        dice = self._later_dice
        shapes = [*SOURCED] * self._later.sourced + [COMPOSED] * 2 * self._later.composed
        if not shapes or wish.shape in catalogue.SICK or dice.random() < 0.25:
            return wish
        return replace(wish, shape=dice.choice(shapes), tree=dice.randrange(VARIANTS), services=draw_services(dice))

    def _publish(self, wishes: dict[str, Wish], *, labels: dict[str, frozenset[str]] | None = None) -> None:
        kept = {
            name: replace(wish, depends_on=tuple(need for need in wish.depends_on if need in wishes))
            for name, wish in sorted(wishes.items())
        }
        told = self.head.labels if labels is None else labels
        self.history.append(Revision(number=len(self.history), wishes=kept, labels=told))

    def _change(self, verb: str, wish: Wish, *, others: tuple[str, ...]) -> Wish | None:
        dice = self._dice
        match verb:
            case "remove":
                return None
            case "shape":
                return replace(wish, shape=self._shape())
            case "move":
                return replace(wish, host=dice.choice(self._hosts))
            case "flag":
                flag = dice.choice(("protected", "retain", "report", "suspended"))
                return replace(wish, **{flag: not getattr(wish, flag)})
            case "ttl":
                return replace(wish, ttl_s=dice.choice(TTLS_S))
            case "depend":
                return replace(wish, depends_on=(dice.choice(others),) if others else ())
            case _:
                return replace(wish, version=dice.choice(catalogue.VERSIONS))

    def _draw(self) -> Wish:
        dice = self._dice
        drawn = Wish(
            shape=self._shape(),
            version=dice.choice(catalogue.VERSIONS),
            host=dice.choice(self._hosts),
            protected=dice.random() < 0.05,
            retain=dice.random() < 0.08,
            report=dice.random() < 0.05,
            ttl_s=dice.choice(TTLS_S) if dice.random() < 0.3 else None,
        )
        if not self._later.on:
            return drawn
        pool = pools.draw_pool(self._later_dice) if self._later.placed else None
        return self._with_later_shape(replace(drawn, pool=pool))

    def _shape(self) -> str:
        sick = self._with_sick and self._dice.random() < SICK_SHARE
        return self._dice.choice(SICK if sick else WELL)

    def desired(self, revision: Revision) -> Desired:
        """Give a revision as the loader would: every sandbox lowered from real specs."""
        blank = catalogue.blank()
        bare = replace(
            blank,
            digest=hashlib.sha256(repr(sorted(revision.wishes.items())).encode()).hexdigest(),
            hosts={name: blank.hosts[name] for name in self._hosts},
            sandboxes={name: lowered(name, wish) for name, wish in sorted(revision.wishes.items())},
            reap=self.reap,
        )
        return pools.left_open(bare, revision) if self._later.placed else bare


def draw_services(dice: random.Random) -> tuple[str, ...]:
    """Draw what a compose file names: at least one service."""
    return tuple(sorted(dice.sample(SERVICES, dice.randint(1, len(SERVICES)))))


_LOWERED: dict[tuple[str, Wish], SandboxDesired] = {}


def lowered(name: str, wish: Wish) -> SandboxDesired:
    """Lower one wish, and remember it: the same wish comes back in many revisions and runs."""
    key = (name, wish)
    found = _LOWERED.get(key)
    if found is None:
        bare = replace(
            with_tree(catalogue.sandbox(name, shape=wish.shape, version=wish.version), wish),
            host=wish.host,
            protected=wish.protected,
            deletion="Retain" if wish.retain else "Delete",
            drift="report" if wish.report else "heal",
            ttl_s=wish.ttl_s,
            suspend=Suspend("for now") if wish.suspended else None,
            depends_on=wish.depends_on,
        )
        found = _LOWERED[key] = replace(bare, intent=intent_digest(bare))
    return found
