"""Bring hosts into the specs, and accept machines that have changed."""

from __future__ import annotations

import typer

from reconciler.cli.command import Command
from reconciler.cli.host_accept import accept
from reconciler.cli.host_add import add

app = typer.Typer(rich_markup_mode=None, help="Add a host to the specs, or accept another machine.")


@app.callback()
def host() -> None:
    """Add a host to the specs, or accept another machine."""


app.command("add", cls=Command)(add)
app.command("accept", cls=Command)(accept)
