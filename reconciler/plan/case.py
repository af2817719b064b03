"""Hold one object of the decision table with everything known of it, and the ways to decide about it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from reconciler.model.names import sandbox_uid
from reconciler.model.observed import Reachable
from reconciler.model.plan import Action, Bucket, Cause, Held, Matched, Step, Verb
from reconciler.model.record import Record
from reconciler.plan import teardown
from reconciler.plan.assessment import Trouble
from reconciler.plan.holdings import Holding
from reconciler.plan.world import Place, World

Verdict = Action | Held | Matched


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one object with everything known of it: D, R and O of the decision table.

    `gpus_reserved` are those that the plan gives to others here first.
    """

    world: World
    place: Place
    state: Reachable
    holding: Holding
    record: Record | None
    gpus_reserved: int = 0

    @property
    def uid(self) -> str:
        """Give the sandbox's uid."""
        return sandbox_uid(self.world.desired.fleet, self.place.sandbox)

    @property
    def ending(self) -> teardown.Ending:
        """Give what lowering its end needs."""
        want = self.world.desired.sandboxes.get(self.place.sandbox)
        return teardown.Ending(
            fleet=self.world.desired.fleet,
            host=self.place.host,
            holding=self.holding,
            view=self.state.view,
            measured=want is None or want.observability != "off",
        )

    @property
    def now_by_both_clocks(self) -> datetime:
        """Give the moment that has come by the controller's clock and by the host's: what is due is due by both.

        A clock that is ahead ends nothing before its time.
        """
        return min(self.world.request.now, datetime.fromtimestamp(self.state.view.host_clock_epoch_s, UTC))

    @property
    def dated_by_both_clocks(self) -> datetime:
        """Give the later of both clocks, to date what will end: one that is behind ends nothing early."""
        return max(self.world.request.now, datetime.fromtimestamp(self.state.view.host_clock_epoch_s, UTC))

    @property
    def age_s(self) -> float:
        """Tell how long ago its youngest part was made, by both clocks; 0 where nothing tells."""
        host_clock_s = self.now_by_both_clocks.timestamp()
        made = [item.seen.created_at for item in self.holding.containers]
        made += [network.created_at for network in self.holding.networks.values() if network.created_at is not None]
        ages_s = [host_clock_s - at.timestamp() for at in made]
        if self.holding.marker is not None:
            ages_s.append((self.world.request.now - self.holding.marker.created_at).total_seconds())
        return min(ages_s, default=0.0)

    def hold(self, bucket: Bucket, trouble: Trouble) -> Held:
        """Hold it back, with the reason."""
        return held_back(self.place, bucket, trouble)

    def settle(self, bucket: Bucket, listed: str = "") -> Matched:
        """Leave it as it is."""
        marker = self.holding.marker
        return Matched(
            sandbox=self.place.sandbox,
            host=self.place.host,
            bucket=bucket,
            generation=marker.generation if marker is not None else 0,
            run=marker.run if marker is not None else "",
            listed=listed,
        )

    def end(self, verb: Verb, bucket: Bucket, cause: Cause, steps: tuple[Step, ...], *, counted: bool = True) -> Action:
        """Decide its end. `counted` says whether it counts against the budget of removals."""
        marker = self.holding.marker
        return Action(
            id=self.place.action_id,
            sandbox=self.place.sandbox,
            uid=self.uid,
            host=self.place.host,
            verb=verb,
            bucket=bucket,
            cause=cause,
            steps=steps,
            removes=counted,
            generation=marker.generation if marker is not None else 0,
            run=marker.run if marker is not None else "",
            intent=marker.intent if marker is not None else "",
            revision=self.world.request.revision,
            notes=teardown.what_stays(self.holding),
        )


def held_back(place: Place, bucket: Bucket, trouble: Trouble) -> Held:
    """Hold an object back, with the reason."""
    return Held(
        sandbox=place.sandbox,
        host=place.host,
        bucket=bucket,
        reason=trouble.reason,
        message=trouble.message,
        hint=trouble.hint,
    )
