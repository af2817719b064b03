"""Say in one line what a change did to its host, and what the sandbox itself takes there."""

from __future__ import annotations

from reconciler.model.delta import OwnUse, ProvisionDelta
from reconciler.model.plan import address_of
from reconciler.model.size import round_size
from reconciler.show.escape import shown

_NAMES = {
    "memory_available_bytes": "memory available",
    "disk_used_bytes": "disk used",
    "load_1": "load",
    "cpu_percent": "CPU %",
    "pressure_cpu": "CPU pressure",
    "pressure_memory": "memory pressure",
    "pressure_io": "I/O pressure",
    "containers_running": "containers",
}

_OWN = {
    "memory_working_set_bytes": "memory",
    "cpu_usage_ns": "CPU time",
    "layer_bytes": "written",
    "image_bytes": "image",
    "network_bytes": "network",
}
_UNKNOWN = {
    **_NAMES,
    "own": "its own use",
    **{f"own.{field}": f"its {name}" for field, name in _OWN.items()},
    "own.memory_current_bytes": "its memory",
}

_ALSO_NAMED = 3
"""A host that was busy says more by the number than by the names; those are in the status file."""

_LEAST = 0.005
"""Less than this would be written as zero."""


def delta_line(delta: ProvisionDelta) -> str:
    """Say each change that is larger than its spread (`±`, the larger of before and after), then what is not known.

    What stayed within its spread is noise, and is in the status file for who wants it.
    """
    said = [
        f"{_NAMES[name]} {_amount(name, change)}{_spread_in_words(delta, name)}"
        for name in _NAMES
        if (change := (delta.change or {}).get(name)) is not None and abs(change) > max(_spread(delta, name), _LEAST)
    ]
    if delta.change and not said:
        said = ["nothing beyond the noise"]
    reasons: dict[str, list[str]] = {}
    for name, why in delta.missing.items():
        reasons.setdefault(why, []).append(_UNKNOWN.get(name, name))
    said += [f"{', '.join(dict.fromkeys(names))} unknown ({shown(why)})" for why, names in reasons.items()]
    return (", ".join(said) or "nothing was measured") + _own(delta.own) + _meanwhile(delta.also)


def _own(own: OwnUse | None) -> str:
    amounts = {} if own is None else {name: getattr(own, field) for field, name in _OWN.items()}
    told = [f"{name} {_own_amount(name, amount)}" for name, amount in amounts.items() if amount is not None]
    return f"; by itself: {', '.join(told)}" if told else ""


def _own_amount(name: str, amount: int) -> str:
    return f"{amount / 1e9:.2f} s" if name == "CPU time" else round_size(amount)


def _meanwhile(also: tuple[str, ...]) -> str:
    if not also:
        return ""
    named = ", ".join(shown(one.removeprefix(address_of(""))) for one in also[:_ALSO_NAMED])
    more = len(also) - _ALSO_NAMED
    return f"; meanwhile: {named}{f' and {more} more' if more > 0 else ''}"


def _amount(name: str, change: float) -> str:
    if name.endswith("_bytes"):
        return round_size(change, signed=True)
    return f"{change:+.0f}" if name == "containers_running" else f"{change:+.2f}"


def _spread(delta: ProvisionDelta, name: str) -> float:
    spreads = [reading.spread.get(name, 0.0) for reading in (delta.before, delta.after) if reading is not None]
    return max(spreads, default=0.0)


def _spread_in_words(delta: ProvisionDelta, name: str) -> str:
    widest = _spread(delta, name)
    if widest <= 0:
        return ""
    return f" ±{round_size(widest) if name.endswith('_bytes') else f'{widest:.2f}'}"
