"""Read what control groups tell of single containers out of the collector's lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from reconciler.host.measure.printed import RawCounters, decode_counters, not_linux
from reconciler.model.snapshot import SandboxUse

_CGROUP_ID = re.compile(r"/(?:docker-)?([0-9a-f]{64})(?:\.scope)?/[a-z_.]+\Z")


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what control groups told of containers, by full id, and why they did not tell more (`ID` or `ID.field`)."""

    uses: dict[str, SandboxUse]
    missing: dict[str, str]


def decode_groups(host: str, output: bytes, *, container_ids: Iterable[str]) -> Groups:
    """Read what the collector printed of these containers alone.

    Raises:
        ReadFailed: `E_FACTS_CUT` for a reply cut short, `E_FACTS_DECODE` for counters that are none.
    """
    raw = decode_counters(host, output)
    try:
        # Every Linux has this file: where even that was not read, no absence means anything.
        float(raw.files["/proc/uptime"][0].split()[0])
        return read_groups(raw, container_ids)
    except (KeyError, IndexError, ValueError) as error:
        raise not_linux(host, error) from error


def read_groups(raw: RawCounters, asked: Iterable[str]) -> Groups:
    """Sort the counters of control groups by container. Raises `IndexError` or `ValueError` for what is no counter."""
    cpu_ns: dict[str, int] = {}
    memory: dict[str, int] = {}
    idle_cache: dict[str, int | None] = {}
    for path, lines in raw.files.items():
        found = _CGROUP_ID.search(path)
        if found is None:
            continue
        full_id, counter = found[1], path.rsplit("/", 1)[1]
        if counter == "cpu.stat":
            cpu_ns[full_id] = int(lines[0].split()[1]) * 1000
        elif counter == "cpuacct.usage":
            cpu_ns[full_id] = int(lines[0])
        elif counter == "memory.stat":
            idle_cache[full_id] = _idle_cache_bytes(lines)
        else:
            memory[full_id] = int(lines[0])
    counters = {
        "cpu_usage_ns": cpu_ns,
        "memory_current_bytes": memory,
        "memory_working_set_bytes": {
            one: max(0, current - idle) for one, current in memory.items() if (idle := idle_cache.get(one)) is not None
        },
        "network_bytes": _network_bytes(raw),
    }
    uses: dict[str, SandboxUse] = {}
    missing: dict[str, str] = {}
    for full_id in asked:
        if full_id not in cpu_ns and full_id not in memory:
            missing[full_id] = "no control group of this container was found: it does not run"
            continue
        uses[full_id] = SandboxUse(**{field: found.get(full_id) for field, found in counters.items()})
        missing |= {f"{full_id}.{field}": _why(field) for field, found in counters.items() if full_id not in found}
    return Groups(uses=uses, missing=missing)


def _why(field: str) -> str:
    if field == "network_bytes":
        return "no interface of its own could be read"
    return "its control group has no such counter"


def _idle_cache_bytes(lines: list[str]) -> int | None:
    """Find the file cache that was not used lately; version 1 also counts a group without those below it."""
    amounts = dict(line.split() for line in lines)
    told = amounts.get("total_inactive_file", amounts.get("inactive_file"))
    return None if told is None else int(told)


def _network_bytes(raw: RawCounters) -> dict[str, int]:
    """Sum by container what its interfaces received and sent; the ninth number of a line counts what was sent."""
    found: dict[str, int] = {}
    for line in raw.words.get("pid", []):
        full_id, _, pid = line.partition(" ")
        names = dict(text.split(":", 1) for text in raw.files.get(f"/proc/{pid}/net/dev", []))
        if names and not any(name.strip() == "docker0" for name in names):
            found[full_id] = sum(int(one[0]) + int(one[8]) for one in map(str.split, names.values()))
    return found
