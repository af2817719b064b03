"""Read the command line and the environment, wire the rooms together, print, and exit. One file per command.

Start-up is product: a command imports SSH, Docker, YAML and the event loop only when it must.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

PROGRAM = "reconcile"
TRACEBACK_VARIABLE = "RECONCILE_TRACEBACK"


def main() -> None:
    """Run the `reconcile` command and exit with its status."""
    from reconciler.cli import exits
    from reconciler.cli.streams import Streams

    streams = Streams()
    try:
        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        status = exits.INTERRUPTED
    # It is over: whoever insists gets no traceback of Python's own end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(streams.end(status))


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit status; every failure becomes one sentence, never a traceback."""
    # typer costs 0.2 s, which an import of this module must not.
    from reconciler.cli import exits
    from reconciler.cli.app import invoke
    from reconciler.cli.report import complain, stream_failure
    from reconciler.cli.streams import OutputLost
    from reconciler.errors import ReconcilerError

    try:
        return invoke(arguments)
    except ReconcilerError as error:
        if "--json" in arguments:
            stream_failure(error)
        return complain(error)
    except OutputLost:
        return exits.ERROR
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            return _bug(error)
        hint = "allow more: ulimit -n 1024"
        return complain(ReconcilerError("no more files may be opened at once", code="E_TOO_MANY_FILES", hint=hint))
    except Exception as bug:  # noqa: BLE001 - people get a sentence, whatever it was
        return _bug(bug)


def _bug(bug: Exception) -> int:
    """Own up to a bug in one sentence."""
    if os.environ.get(TRACEBACK_VARIABLE):
        raise bug
    sys.stderr.write(
        f"error: this is a bug in {PROGRAM}: {type(bug).__name__} in {_where(bug)}\n"
        f"hint: please report it with the output of {TRACEBACK_VARIABLE}=1 (read it for secrets first); "
        "what was done so far is on record, and the next apply goes on from there\n"
    )
    return 1


def _where(bug: BaseException) -> str:
    """Name the innermost place of ours that a bug passed."""
    place = "the start"
    trace = bug.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if f"{os.sep}reconciler{os.sep}" in code.co_filename:
            place = f"{Path(code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
