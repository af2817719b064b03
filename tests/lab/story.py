"""Tell the whole tool as one story, from the first plan to the last reap, whatever kind of host it happens on."""

import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from tests.lab.missing import LabError

_BOLD, _DIM, _OFF = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
_LOST = "sbx-lab.worker.main"


def say(text: str) -> None:
    """Tell what comes next."""
    show(f"\n{_BOLD}# {text}{_OFF}")


def show(line: str) -> None:
    """Write one line at once, before whatever another process says."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Story(ABC):
    """Hold one demonstration: the folder with the specs of its hosts; who inherits knows how hosts are reached."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.specs = folder / "specs"

    @abstractmethod
    def reconcile(self, *arguments: str) -> int:
        """Run the command as a person would, and give its exit status."""

    @abstractmethod
    def remove_container(self, *, host: str, name: str) -> None:
        """Remove a container behind the tool's back."""

    def tell(self) -> None:
        """Show everything, in the order in which a newcomer would ask for it. Errors: `LabError`."""
        began_s = time.monotonic()
        say("The specs say what should be. Checking them reaches no host:")
        self._expect(0, "validate")
        say("What would happen? Exit status 2 says: there are changes.")
        self._expect(2, "plan", "--detailed-exitcode")
        say("Do it. (--yes, because nobody is asked here.)")
        self._expect(0, "apply", "--yes")
        say("What is there now:")
        self._expect(0, "status")
        say("Plan again: after an apply there is nothing left to do. That is a promise.")
        self._expect(0, "plan", "--detailed-exitcode")
        say("Somebody removes a container behind our back:")
        show(f"{_BOLD}$ ssh h2 docker rm -f {_LOST}{_OFF}")
        self.remove_container(host="h2", name=_LOST)
        self._expect(2, "plan", "--detailed-exitcode")
        say("Heal it:")
        self._expect(0, "apply", "--yes")
        say("Change a spec: a new image and more memory.")
        self._edit(old='image: "lab/web:1"}', new='image: "lab/web:2"}')
        self._edit(old="resources: {memory: 64MiB}", new="resources: {memory: 96MiB}")
        self._expect(2, "plan", "web-1", "--detailed-exitcode")
        self._expect(0, "apply", "web-1", "--yes")
        say("Take everything away again. Data under a storage root stays.")
        self._expect(0, "destroy", "--all", "--yes")
        self._expect(0, "status")
        say(f"That was all, in {time.monotonic() - began_s:.0f} s. Your turn: docs/tutorial/first-fleet.md")

    def _expect(self, status: int, *arguments: str) -> None:
        """Show the line that a person would type, run it, and insist on its exit status."""
        show(f"{_BOLD}$ reconcile {' '.join(arguments)}{_OFF}")
        found = self.reconcile(*arguments)
        if found != status:
            raise LabError(f"reconcile {' '.join(arguments)} ended with {found}, expected {status}")

    def _edit(self, *, old: str, new: str) -> None:
        """Change one line of a spec, and show it."""
        path = self.specs / "sandboxes.yaml"
        text = path.read_text()
        if old not in text:
            raise LabError(f"the example has no {old!r} any more")
        path.write_text(text.replace(old, new, 1))
        show(f"{_DIM}  specs/sandboxes.yaml{_OFF}\n  - {old}\n  + {new}")
