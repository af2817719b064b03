"""Show an apply while it runs: redrawn on a terminal, line by line elsewhere, or as JSON lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from reconciler.apply.ports import Observer
from reconciler.cli import report
from reconciler.show import live, stream
from reconciler.show.symbols import symbol_of

if TYPE_CHECKING:
    from types import TracebackType

    from rich.text import Text

    from reconciler.cli.clock import SystemClock
    from reconciler.model.delta import ProvisionDelta
    from reconciler.model.outcome import ActionEnded
    from reconciler.model.plan import Action, Step


class Lines(Observer):
    """Write a line when an action begins and when it ends, on stderr."""

    def action_started(self, action: Action) -> None:
        """Say that it began."""
        report.say(f"{symbol_of(action)} {action.address} on {action.host}: {action.verb} …")

    def action_ended(self, action: Action, ended: ActionEnded) -> None:
        """Say how it ended."""
        report.say(f"{symbol_of(action)} {action.address} on {action.host}: {ended.end}")


class JsonStream(Observer):
    """Write JSON lines on stdout."""

    def __init__(self, clock: SystemClock, pass_id: str) -> None:
        self._clock = clock
        self._pass_id = pass_id

    def write(self, message: stream.Message) -> None:
        """Write one message at once, so that whoever reads along sees it."""
        sys.stdout.write(stream.json_line(message))
        sys.stdout.flush()

    @property
    def stamp(self) -> stream.Stamp:
        """Stamp a message with now and this pass."""
        return stream.Stamp(self._clock.now(), self._pass_id)

    def action_started(self, action: Action) -> None:
        """Say that it began."""
        self.write(stream.apply_start(self.stamp, action))

    def step_started(self, action: Action, step: Step) -> None:
        """Say what it does now."""
        self.write(stream.apply_progress(self.stamp, action, step=step.id, text=step.title))

    def progressed(self, action: Action, step: Step, line: str) -> None:
        """Say how far a long step is."""
        self.write(stream.apply_progress(self.stamp, action, step=step.id, text=line))

    def action_ended(self, action: Action, ended: ActionEnded) -> None:
        """Say how it ended."""
        self.write(stream.apply_ended(self.stamp, action, ended))

    def measured(self, action: Action, delta: ProvisionDelta) -> None:
        """Say what it did to its host."""
        self.write(stream.host_delta(self.stamp, action, delta))


class Live(Observer):
    """Redraw what is under way, per host, on a terminal."""

    def __init__(self, clock: SystemClock) -> None:
        from rich.console import Console  # noqa: PLC0415 - costs 0.1 s and is wanted on terminals alone
        from rich.live import Live as Drawing  # noqa: PLC0415 - same

        self._clock = clock
        self._progress = live.Progress(total=0)
        console = Console(stderr=True, highlight=False)
        self._drawing = Drawing(console=console, transient=True, get_renderable=self._draw, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._drawing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawing.stop()

    def expect(self, total: int) -> None:
        """Say how many actions there will be."""
        self._progress = live.Progress(total=total)

    def _draw(self) -> Text:
        return live.live_rich(self._progress, now=self._clock.now(), width=report.width())

    def _take(self, event: live.Event) -> None:
        self._progress = live.advance(self._progress, event)

    def action_started(self, action: Action) -> None:
        """Show it."""
        self._take(live.Began(action, self._clock.now()))

    def step_started(self, action: Action, step: Step) -> None:
        """Show what it does now."""
        self._take(live.Stepped(action.id, step.title))

    def progressed(self, action: Action, step: Step, line: str) -> None:  # noqa: ARG002 - the observer's shape
        """Show how far a long step is."""
        self._take(live.Stepped(action.id, line))

    def action_ended(self, action: Action, ended: ActionEnded) -> None:
        """Show how it ended."""
        self._take(live.Ended(action.id, ended.end))
