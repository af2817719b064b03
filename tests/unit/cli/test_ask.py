"""Questions: what counts as an answer, and what a signal does to one."""

import asyncio
import io
import signal
import sys

import pytest
import typer

from reconciler.cli.ask import ask


class Signalled(io.StringIO):
    """Stand in for a terminal at which a person presses Ctrl-C instead of answering."""

    number = signal.SIGINT

    def readline(self, _size: int | None = -1, /) -> str:  # type: ignore[override]  # the stub says bytes and str at once
        signal.raise_signal(self.number)
        return "y\n"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("y\n", True), ("YES \n", True), ("n\n", False), ("\n", False), ("maybe\ny\n", True), ("maybe\n\n", False)],
)
def test_only_a_yes_is_a_yes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    answer: bool,  # noqa: FBT001 - a parameter of the test, which pytest gives by its name
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert ask("Go on?") is answer
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("Go on? [y/N]: ") == typed.count("\n")


def test_the_end_of_the_input_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(typer.Abort):
        ask("Go on?")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_question_and_reaches_nobody_else(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    typed = Signalled()
    typed.number = number
    monkeypatch.setattr(sys, "stdin", typed)
    heard: list[str] = []

    async def asked_in_a_loop() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(number, heard.append, "the question's")
        with pytest.raises(typer.Abort):
            ask("Go on?")
        # The loop comes round more often than it needs for a signal that it was told of.
        for _ in range(5):
            await asyncio.sleep(0)
        assert heard == []
        signal.raise_signal(number)
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(asked_in_a_loop())
    assert heard == ["the question's"], "the next one is the loop's again"
