"""Show an apply while it runs: redrawn on a terminal, line by line elsewhere, or as JSON lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from reconciler.apply.ports import Observer
from reconciler.cli import report
from reconciler.cli.streams import check_output
from reconciler.show import live, stream
from reconciler.show.symbols import symbol_of

if TYPE_CHECKING:
    from types import TracebackType

    from rich.text import Text

    from reconciler.cli.clock import SystemClock
    from reconciler.model.delta import ProvisionDelta
    from reconciler.model.outcome import ActionEnded
    from reconciler.model.plan import Action, Step

_REDRAWS_PER_SECOND = 4
"""Often enough for a clock that shows seconds, and calm over a slow line."""


class Lines(Observer):
    """Write a line when an action begins, when it ends, and when a pull has begun to arrive, on stderr."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def action_started(self, action: Action) -> None:
        """Say that it began."""
        report.say(f"{symbol_of(action)} {action.address} on {action.host}: {action.verb} …")

    def action_ended(self, action: Action, ended: ActionEnded) -> None:
        """Say how it ended."""
        report.say(f"{symbol_of(action)} {action.address} on {action.host}: {ended.end}")

    def progressed(self, action: Action, step: Step, line: str) -> None:
        """Say once how large it is: a log is not for every percent."""
        if step.id not in self._told:
            self._told.add(step.id)
            report.say(f"{symbol_of(action)} {action.address} on {action.host}: {line}")


class JsonStream(Observer):
    """Write JSON lines on stdout."""

    def __init__(self, clock: SystemClock, pass_id: str) -> None:
        self._clock = clock
        self._pass_id = pass_id
        self._is_acting = False

    def write(self, message: stream.Message) -> None:
        """Write one message at once, so that whoever reads along sees it.

        Raises:
            OutputLost: it cannot be written, and nothing was done yet. Once something is, the pass goes on unseen.
        """
        sys.stdout.write(stream.json_line(message))
        if self._is_acting:
            sys.stdout.flush()
        else:
            check_output()

    @property
    def stamp(self) -> stream.Stamp:
        """Stamp a message with now and this pass."""
        return stream.Stamp(self._clock.now(), self._pass_id)

    def action_started(self, action: Action) -> None:
        """Say that it began."""
        self._is_acting = True
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
        from rich.console import Console  # costs 0.1 s and is wanted on terminals alone
        from rich.live import Live as Drawing

        self._clock = clock
        self._progress = live.Progress(total=0, began_at=clock.now())
        self._console = Console(stderr=True, highlight=False)
        # What is written on stdout meanwhile is none of the drawing's: it may well be a file.
        self._drawing = Drawing(
            console=self._console,
            transient=True,
            get_renderable=self._draw,
            refresh_per_second=_REDRAWS_PER_SECOND,
            redirect_stdout=False,
        )

    def __enter__(self) -> Self:
        self._drawing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawing.stop()

    def expect(self, total: int) -> None:
        """Say how many actions there will be."""
        self._progress = live.Progress(total=total, began_at=self._clock.now())

    def _draw(self) -> Text:
        width, height = self._console.size
        return live.live_rich(self._progress, now=self._clock.now(), width=width, height=height)

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
