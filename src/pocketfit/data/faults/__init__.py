"""What apps get wrong when they prepare an image: each fault as a function, so that it can be told by its effect."""

from __future__ import annotations

from pocketfit.data.faults.fault import Fault, together, upright
from pocketfit.data.faults.table import FAULTS

__all__ = ["FAULTS", "Fault", "together", "upright"]
