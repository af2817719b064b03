"""Sort the lines that `scripts/collect.sh` printed, once it is sure that none is missing. Pure."""

from __future__ import annotations

import msgspec

from reconciler.errors import ReadFailed


class RawCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one look's lines, sorted by where they came from: files by path, the rest by their first word."""

    files: dict[str, list[str]]
    words: dict[str, list[str]]


def decode_counters(host: str, output: bytes) -> RawCounters:
    """Sort the collector's lines, after checking that none is missing.

    Raises:
        ReadFailed: `E_FACTS_CUT` when the closing line is absent or counts other lines than arrived.
    """
    lines = output.decode("utf-8", "replace").removesuffix("\n").split("\n")
    if lines[-1] != f"END {len(lines) - 1}":
        raise ReadFailed(
            f"host {host}: the collector's reply was cut short ({len(output)} bytes, no closing line)",
            code="E_FACTS_CUT",
            hint="look again; if it stays, run the checks of `reconcile doctor` on this host",
            transient=True,
        )
    files: dict[str, list[str]] = {}
    words: dict[str, list[str]] = {}
    for line in lines[:-1]:
        if line.startswith("/"):
            path, _, text = line.partition(":")
            files.setdefault(path, []).append(text)
        else:
            word, _, text = line.partition(" ")
            words.setdefault(word, []).append(text)
    return RawCounters(files=files, words=words)


def not_linux(host: str, error: Exception) -> ReadFailed:
    """Say that a reply is not that of a Linux host."""
    return ReadFailed(
        f"host {host}: the collector's reply lacks what every Linux host has ({error})",
        code="E_FACTS_DECODE",
        hint="is this host Linux, with /proc readable by this user?",
    )
