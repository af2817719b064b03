"""Write or check the JSON Schemas of the language, of the status files and of the telemetry."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli import exits, options

FOLDER = Path("schemas")


def schema(
    *,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", parser=options.folder, help="Write the schemas into this folder.")
    ] = FOLDER,
    check: Annotated[bool, typer.Option("--check", help="Write nothing, and fail when a file there is stale.")] = False,
) -> int:
    """Write the JSON Schemas of specs, status files and telemetry."""
    from reconciler.record import schema as record_schema
    from reconciler.spec import schema as spec_schema

    wanted = {**spec_schema.schemas(), **record_schema.schemas()}
    stale = [name for name, text in sorted(wanted.items()) if _text_of(folder / name) != text]
    surplus = sorted(path.name for path in folder.glob("*.json") if path.name not in wanted) if folder.is_dir() else []
    if check:
        for name in (*stale, *surplus):
            sys.stderr.write(f"error: {folder / name} is stale\n")
        if stale or surplus:
            sys.stderr.write("hint: reconcile schema writes them anew\n")
        return exits.ERROR if stale or surplus else exits.FINE
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (folder / name).write_bytes(wanted[name])
        sys.stdout.write(f"{folder / name}\n")
    return exits.FINE


def _text_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
