"""Check the record of a removal again; asks no host and changes nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec

from reconciler.cli import exits, report
from reconciler.errors import UsageError
from reconciler.model.plan import address_of
from reconciler.show.escape import shown
from reconciler.show.page import Span, line
from reconciler.show.words import count, on_host


def verify_removal(path: Path) -> int:
    """Say whether what a record tells proves the removal right.

    Raises:
        UsageError: there is no such file, or it is no record of a removal.
    """
    from reconciler.model.removal import REMOVAL_FORMAT, RemovalRecord
    from reconciler.record.removals import faults_of

    try:
        record = msgspec.json.decode(path.read_bytes(), type=RemovalRecord)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="they are in status/removals") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is no record of a removal", hint="they are in status/removals") from error
    if record.format != REMOVAL_FORMAT:
        raise UsageError(f"{path} is of format {record.format}, and {REMOVAL_FORMAT} is known here")
    faults = faults_of(record)
    what = on_host(record.legacy or address_of(record.sandbox), record.host)
    how = f"{record.verb}, {record.end}, {count(len(record.touched), 'step')}, {count(len(record.looks), 'look')}"
    head = Span("does not hold", "bad") if faults else Span("holds", "good")
    page = [
        line(head, f": {what}: {how}; by {shown(record.by)}, {record.at.isoformat(timespec='seconds')}"),
        line(f"  because: {shown(record.cause)}"),
        *(line(f"  fault: {shown(text)}") for text in faults),
    ]
    report.show(page)
    return exits.ERROR if faults else exits.FINE
