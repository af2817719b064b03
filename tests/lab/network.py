"""Make and remove the network links of lab hosts.

Host number N has the bridge `rlabN` with 172.30.N.1/24, and 172.31.N.0/24 for networks made by its engine.
With a network of its own, `rlabN` is a cable to it: 172.29.N.1 on this machine, 172.29.N.2 on the host.
Its engine has ports of its own to choose from: engines that share a network know nothing of each other's choices.
"""

import re
import subprocess
from pathlib import Path

from tests.lab.command import run
from tests.lab.missing import LabError, LabMissing
from tests.lab.packages import Programs
from tests.lab.world import World

_NUMBERS = range(1, 250)
_INSIDE = "eth0"
_PORT_FIRST, _PORTS = 10_000, 32  # below those that tests name, and those that the kernel gives to clients


def link_name(number: int) -> str:
    """Return the name of host N's link on this machine."""
    return f"rlab{number}"


def ports_of(number: int) -> range:
    """Return the ports that host N's engine chooses from when it may choose."""
    return range(_PORT_FIRST + _PORTS * number, _PORT_FIRST + _PORTS * (number + 1))


def claim_number(programs: Programs, *, own_network: bool) -> int:
    """Make a host's link, a bridge or the two ends of a cable, and return the number it got.

    Making a link of a name is atomic in the kernel, so two labs never get one number.
    """
    for number in _free_numbers(programs):
        name = link_name(number)
        kind = ["veth", "peer", "name", f"{name}p"] if own_network else ["bridge"]
        words = [str(programs.find("ip")), "link", "add", name, "type", *kind]
        done = subprocess.run(words, env=programs.env, capture_output=True, check=False)
        if done.returncode == 0:
            return number
        if b"File exists" not in done.stderr:
            said = done.stderr.decode(errors="replace").strip()
            raise LabMissing(f"this machine does not let the lab make network links (real root is needed): {said}")
    raise LabError("all 249 host numbers of the lab are taken: `ip link show` lists rlab1 .. rlab249")


def raise_bridge(programs: Programs, number: int) -> None:
    """Give the bridge of a host that shares this machine's network its address."""
    _ip(programs, "addr", "add", f"172.30.{number}.1/24", "dev", link_name(number))
    _ip(programs, "link", "set", link_name(number), "up")


def lay_cable(programs: Programs, world: World, number: int) -> None:
    """Move one end of a host's cable into its world, and make its bridge there."""
    name = link_name(number)
    _ip(programs, "link", "set", f"{name}p", "netns", str(world.init.pid), "name", _INSIDE)
    _ip(programs, "addr", "add", f"172.29.{number}.1/24", "dev", name)
    _ip(programs, "link", "set", name, "up")
    for words in (
        ("link", "set", "lo", "up"),
        ("addr", "add", f"172.29.{number}.2/24", "dev", _INSIDE),
        ("link", "add", name, "type", "bridge"),
        ("addr", "add", f"172.30.{number}.1/24", "dev", name),
        ("link", "set", name, "up"),
    ):
        _ip_inside(programs, world, *words)
    mend_cable(programs, world, number)
    # Neighbours are written down, so that a cut link is silent: no "no route to host" from a failed look-up.
    mac = _mac(_ip_inside(programs, world, "-o", "link", "show", _INSIDE))
    neighbour = ("lladdr", mac, "nud", "permanent", "dev", name)
    _ip(programs, "neigh", "replace", f"172.29.{number}.2", *neighbour)


def cut_cable(programs: Programs, world: World) -> None:
    """Cut the cable at the host's end: packets of both sides vanish without a word."""
    _ip_inside(programs, world, "link", "set", _INSIDE, "down")


def mend_cable(programs: Programs, world: World, number: int) -> None:
    """Bring up the host's end of its cable (a link that was down has forgotten its neighbours)."""
    mac = _mac(_ip(programs, "-o", "link", "show", link_name(number)))
    _ip_inside(programs, world, "link", "set", _INSIDE, "up")
    neighbour = ("lladdr", mac, "nud", "permanent", "dev", _INSIDE)
    _ip_inside(programs, world, "neigh", "replace", f"172.29.{number}.1", *neighbour)


def remove_link(programs: Programs, number: int) -> None:
    """Remove host N's link from this machine; one that is gone is fine. Errors: `LabError`."""
    _remove(programs, link_name(number))


def remove_engine_bridges(programs: Programs, data_root: Path) -> None:
    """Remove the bridges that an ended engine made on this machine for its own networks.

    The engine names a bridge after the network's id and keeps the ids in a database; also an old id in a page
    no longer used is one that this engine made.
    """
    database = data_root / "network/files/local-kv.db"
    content = database.read_bytes() if database.exists() else b""
    there = set(re.findall(r"^\d+: (br-[0-9a-f]{12}):", _ip(programs, "-o", "link", "show"), re.MULTILINE))
    made = {f"br-{network.decode()[:12]}" for network in re.findall(rb"/network/([0-9a-f]{64})", content)}
    for name in sorted(there & made):
        _remove(programs, name)


def _remove(programs: Programs, name: str) -> None:
    try:
        _ip(programs, "link", "del", name)
    except LabError as broken:
        # Either way of saying that it is gone: with its host's name space, or by another process just now.
        if not any(gone in str(broken) for gone in ("Cannot find device", "No such device")):
            raise


def _free_numbers(programs: Programs) -> list[int]:
    """Return the host numbers that no link of this machine has, smallest first."""
    links = run([programs.find("ip"), "-o", "link", "show"], env=programs.env)
    taken = {int(number) for number in re.findall(r"^\d+: rlab(\d+)[@:]", links, re.MULTILINE)}
    routes = run([programs.find("ip"), "-4", "route", "show"], env=programs.env)
    taken |= {int(number) for number in re.findall(r"^172\.(?:29|30|31)\.(\d+)\.", routes, re.MULTILINE)}
    return [number for number in _NUMBERS if number not in taken]


def _ip(programs: Programs, *words: str) -> str:
    return run([programs.find("ip"), *words], env=programs.env)


def _ip_inside(programs: Programs, world: World, *words: str) -> str:
    return world.run([programs.find("ip"), *words], env=programs.env)


def _mac(shown: str) -> str:
    found = re.search(r"link/ether ([0-9a-f:]{17})", shown)
    if found is None:
        raise LabError(f"no hardware address in: {shown.strip()}")
    return found[1]
