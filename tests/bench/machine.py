"""Name the machine by what the figures depend on."""

import os
import platform
import re
from pathlib import Path


def machine() -> str:
    """Give cores, memory, kernel, Python, and how busy it is now."""
    found = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    memory_gib = int(found[1]) / (1 << 20) if found else 0
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {memory_gib:.0f} GiB of memory, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load {load:.1f} at the start"
    )
