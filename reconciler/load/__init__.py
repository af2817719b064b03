"""Turn spec files into typed, merged and checked documents, or into every problem they have.

Invariant: it reads disk and nothing else: no host, no network, no secret's value.
"""

from __future__ import annotations

from reconciler.load.front import load, load_as

__all__ = ["load", "load_as"]
