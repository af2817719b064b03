"""Draw every golden page. `python -m tests.golden.show.pages` writes the files anew: read what changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from reconciler.model.access import Finding
from reconciler.model.effect import NotDone
from reconciler.model.observed import SeenMarker
from reconciler.model.outcome import ActionEnded, PassEnded, StepEnded
from reconciler.model.plan import Plan, Verb
from reconciler.model.snapshot import Gpu, Pressure
from reconciler.model.status import Statuses
from reconciler.model.unfinished import ActionState, UnfinishedAction, UnfinishedPass
from reconciler.record.fold import fold
from reconciler.show.doctor_text import doctor_page
from reconciler.show.errors_text import error_text
from reconciler.show.host_text import host_page
from reconciler.show.live import Began, Ended, Progress, Stepped, advance, live_page
from reconciler.show.outcome_text import outcome_page
from reconciler.show.page import plain, wrapped
from reconciler.show.plan_json import plan_json
from reconciler.show.plan_text import plan_page
from reconciler.show.status_text import status_page
from tests import builders as b
from tests.golden.show import sample_plans as sample

HERE = Path(__file__).parent
NOW = b.later(minutes=5)


def a_pass(plan: Plan) -> PassEnded:
    """End each action of the sample in another way."""
    failed = StepEnded(
        step="s2",
        title="create main",
        result=NotDone("E_IMAGE_GONE", "no such image"),
        tries=3,
        started_at=b.later(seconds=2),
        finished_at=b.later(seconds=40),
    )
    ends = {
        "h1/db-1": ActionEnded(id="h1/db-1", end="done", ready_at=b.later(seconds=3)),
        "h1/web-2": ActionEnded(id="h1/web-2", end="done", delta=b.a_delta(), ready_at=b.later(seconds=9)),
        "h1/web-1": ActionEnded(
            id="h1/web-1",
            end="failed",
            code="E_IMAGE_GONE",
            message="the image registry.example/web:1.4 is not there",
            hint="push it, or correct containers.main.image",
            logs=tuple(f"line {at}" for at in range(12)),
            steps=(failed,),
        ),
        "h3/agent-7": ActionEnded(id="h3/agent-7", end="unknown", code="E_LOST", message="the reply never came"),
        "h3/agent-8": ActionEnded(id="h3/agent-8", end="skipped", message="another replacement of its profile failed"),
        "h2/old-1": ActionEnded(id="h2/old-1", end="done"),
        "h2/web-3": ActionEnded(id="h2/web-3", end="done"),
        "h2/gone-1": ActionEnded(id="h2/gone-1", end="done"),
        "h2/canary-3": ActionEnded(id="h2/canary-3", end="interrupted", message="stopped by a person"),
    }
    return PassEnded(
        pass_id=plan.pass_id,
        started_at=b.T0,
        finished_at=b.later(seconds=41),
        actions=tuple(ends[action.id] for action in plan.actions),
        locked={"h7": "anna@desk (pid 4711) since 2025-06-01 11:58:00 UTC"},
    )


def statuses() -> Statuses:
    """Fold the sample pass."""
    plan = sample.everything()
    looks = {name: b.a_reachable(snapshot=b.a_snapshot(host=name)) for name in ("h1", "h2", "h3", "h4")}
    gone = {name: b.an_unreachable(reason=f"{name} did not answer within 10 s") for name in ("h9", "h11")}
    return fold(Statuses(), plan, b.an_observed({**looks, **gone}), a_pass(plan), b.later(seconds=41))


def plan_view(plan: Plan, *, width: int = 100, age_s: float | None = None, wide: bool = False) -> str:
    """Draw a plan without colour."""
    return plain(plan_page(plan, width=width, age_s=age_s, wide=wide))


def status_view(
    found: Statuses,
    *,
    now: datetime,
    wide: bool = False,
    width: int | None = None,
    unfinished: UnfinishedPass | None = None,
) -> str:
    """Draw a fleet's status without colour."""
    return plain(status_page(found, now=now, wide=wide, width=width, unfinished=unfinished))


def a_cut_pass() -> UnfinishedPass:
    """Cut a pass of eleven actions in the middle."""

    def one(name: str, state: ActionState, *, done: int, unknown: tuple[str, ...] = ()) -> UnfinishedAction:
        return UnfinishedAction(
            sandbox=name, host="h1", verb=Verb.REPLACE, state=state, changes=4, changes_done=done, unknown=unknown
        )

    return UnfinishedPass(
        id="20250601T120000Z-5f3a90c1",
        state="cut",
        began_at=b.T0,
        by="anna@desk pid 4711",
        fleet=b.FLEET,
        actions=(
            *(one(f"job-{at}", "done", done=4) for at in range(7)),
            one("web-1", "unknown", done=1, unknown=("create container main",)),
            one("web-2", "begun", done=2),
            one("web-10", "not_done", done=0),
            one("web-9", "not_done", done=0),
        ),
    )


def interrupted_page() -> str:
    """Report a pass that a person stopped before most of it began, on a terminal of 80 columns."""
    actions = tuple(sample.named(f"job-{at:02}", f"h{at % 3}") for at in range(14))
    ends = tuple(
        ActionEnded(id=one.id, end="done", warnings=("probe up: not ready",))
        if at == 0
        else ActionEnded(id=one.id, end="interrupted", code="E_INTERRUPTED", message="stopped before it was over")
        for at, one in enumerate(actions)
    )
    plan = b.a_plan(*actions)
    ended = PassEnded(
        pass_id=plan.pass_id, started_at=b.T0, finished_at=b.later(seconds=2), actions=ends, interrupted=True
    )
    return plain(wrapped(outcome_page(plan, ended, deltas=True), width=80))


def host_view() -> str:
    """Draw a host with a bit of everything."""
    tomb = b.a_seen(b.a_sandbox("old-1"), name=f"{b.docker_name('old-1')}.tomb-1748779200")
    copied = b.a_seen(name="sbx-lab.copy.main")
    view = b.a_view(
        b.a_seen(),
        tomb,
        copied,
        neighbours=(b.a_neighbour(),),
        markers=(SeenMarker(folder="deadbeef", marker=None, fault="it is not JSON"),),
    )
    gpu = Gpu(
        index=0,
        name="A100\x1b[31m",
        memory_total_bytes=40 << 30,
        memory_used_bytes=0,
        utilisation_percent=None,
        driver="550.54",
        cuda="12.4",
    )
    facts = b.a_snapshot(
        gpus=(gpu,),
        pressure_cpu=Pressure(some_avg10_percent=1.5, full_avg10_percent=None),
        missing={"docker_disk": "not asked"},
    )
    return plain(host_page("h1", snapshot=facts, view=view, fleet=b.FLEET, now=NOW))


def doctor_view() -> str:
    """Draw a few findings."""
    page = doctor_page(
        {
            "h1": (
                Finding(check="address", ok=True, message="10.20.0.5 answers on port 22 after 0.4 ms"),
                Finding(
                    check="host key",
                    ok=False,
                    message="host h1: the key is another one than the pinned",
                    code="E_HOST_KEY",
                    hint="ask who changed it; `reconcile host add` shows the new one",
                ),
                Finding(check="docker socket", ok=None, message="not tried"),
                Finding(check="docker engine", ok=None, message="not tried"),
            )
        }
    )
    return plain(page)


def live_view(width: int, *, height: int = 24) -> str:
    """Draw an apply half-way."""
    progress = Progress(total=9, began_at=b.T0)
    long = sample.named("a-rather-long-name-of-a-sandbox-12", "gpu-and-more-gpus-01")
    for event in (
        Began(long, b.later(seconds=1)),
        Stepped(long.id, "pull registry.example/团队/team/and/a/long/path:1.4"),
        Began(sample.created(), b.T0),
        Stepped("h1/web-1", "pulling 120/340 MB"),
        Began(sample.drifted(), b.later(seconds=2)),
        Ended("h1/db-1", "done"),
        Began(sample.replaced_start_first(), b.later(seconds=30)),
        Stepped("h3/agent-8", "wait until main is ready: \x1b[2J a very long answer that does not fit in the line"),
    ):
        progress = advance(progress, event)
    return plain(live_page(progress, now=b.later(seconds=3665), width=width, height=height))


def as_json(plan: Plan) -> str:
    """Draw the document of a plan."""
    return msgspec.json.format(msgspec.json.encode(plan_json(plan)), indent=2).decode() + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "plan-everything-140.txt": lambda: plan_view(sample.everything(), width=140),
    "plan-everything-80.txt": lambda: plan_view(sample.everything(), width=80),
    "plan-everything-wide.txt": lambda: plan_view(sample.everything(), width=100, wide=True),
    "plan-everything-60.txt": lambda: plain(wrapped(plan_page(sample.everything(), width=60, age_s=None), width=60)),
    "plan-calm.txt": lambda: plan_view(sample.calm(), age_s=3),
    "plan-only-held.txt": lambda: plan_view(sample.only_held(), width=80),
    "plan-refused.txt": lambda: plan_view(sample.refused()),
    "plan-hostile.txt": lambda: plan_view(sample.hostile()),
    "plan-everything.json": lambda: as_json(sample.everything()),
    "outcome.txt": lambda: plain(outcome_page(sample.everything(), a_pass(sample.everything()), deltas=True)),
    "outcome-interrupted-80.txt": interrupted_page,
    "status.txt": lambda: status_view(statuses(), now=NOW),
    "status-80.txt": lambda: status_view(statuses(), now=NOW, width=80),
    "status-60.txt": lambda: status_view(statuses(), now=NOW, width=60),
    "status-wide.txt": lambda: status_view(statuses(), now=NOW + timedelta(hours=30), wide=True),
    "status-cut.txt": lambda: status_view(statuses(), now=NOW, unfinished=a_cut_pass()),
    "status-nothing.txt": lambda: status_view(Statuses(), now=NOW),
    "host.txt": host_view,
    "doctor.txt": doctor_view,
    "live-60.txt": lambda: live_view(60),
    "live-80.txt": lambda: live_view(80),
    "live-120.txt": lambda: live_view(120),
    "live-low.txt": lambda: live_view(80, height=6),
    "error.txt": lambda: error_text("no\x1b[1m way", code="E_X", hint="try\nthis"),
}

if __name__ == "__main__":
    for name, draw in PAGES.items():
        (HERE / name).write_text(draw(), encoding="utf-8")
