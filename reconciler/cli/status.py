"""Show what the last passes recorded; asks no host."""

from __future__ import annotations

import msgspec

from reconciler.cli import exits, report
from reconciler.cli.clock import SystemClock
from reconciler.cli.options import STATUS, Output, OutputForm, Status
from reconciler.errors import StatusFolderError


def status(*, status: Status = STATUS, output: OutputForm = Output.TABLE) -> int:
    """Show what the last passes recorded; ask no host."""
    from reconciler.record.store import StatusStore  # noqa: PLC0415 - wanted by this command alone
    from reconciler.show.status_json import status_json, status_names  # noqa: PLC0415 - same
    from reconciler.show.status_text import status_page  # noqa: PLC0415 - same
    from reconciler.show.yaml_text import yaml_text  # noqa: PLC0415 - same

    clock = SystemClock()
    loaded = StatusStore(status).load(now=clock.now())
    for warning in loaded.warnings:
        report.say(f"warning: {warning}")
    statuses = loaded.statuses
    if statuses.fleet is None:
        raise StatusFolderError(f"{status} holds no status yet", hint="it is written by the first apply")
    match output:
        case Output.JSON:
            text = msgspec.json.encode(status_json(statuses, fleet=statuses.fleet.fleet))
            report.document(msgspec.json.format(text, indent=2))
        case Output.YAML:
            report.document(yaml_text(status_json(statuses, fleet=statuses.fleet.fleet)))
        case Output.NAME:
            report.document(status_names(statuses))
        case Output.TABLE | Output.WIDE:
            report.show(status_page(statuses, now=clock.now(), wide=output is Output.WIDE))
    return exits.FINE
