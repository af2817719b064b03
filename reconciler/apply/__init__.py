"""Walk a plan: hosts side by side, the steps of each action in order, every outcome told.

Invariant: makes no choices and never reads a spec. What is to be done stands in the plan; what happened, and nothing
else, comes back. It knows no clock but the one it is given, and leaves no task behind.
"""

from reconciler.apply.ports import Clock, Interrupt, Journal, Observer
from reconciler.apply.walk import apply

__all__ = ["Clock", "Interrupt", "Journal", "Observer", "apply"]
