"""A network that learns what another one knows: student → pairing → distill.

Losses and loop are `compress.training`'s.
"""

from pocketfit.compress.distill.distill import Distilled, distill
from pocketfit.compress.distill.recipe import DistillationRecipe
from pocketfit.compress.distill.student import graph_student, module_student

__all__ = ["DistillationRecipe", "Distilled", "distill", "graph_student", "module_student"]
