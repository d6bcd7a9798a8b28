"""What a student learns from a teacher: one loss a file, each a module from two answers to a number.

student's logits, teacher's logits, labels ─→ SoftLabels | Decoupled | Correlated
student's features, teacher's features     ─→ Hint | AttentionTransfer
"""

from pocketfit.compress.distill.attention_transfer import AttentionTransfer
from pocketfit.compress.distill.correlated import Correlated
from pocketfit.compress.distill.decoupled import Decoupled
from pocketfit.compress.distill.hint import Hint
from pocketfit.compress.distill.soft_labels import SoftLabels, divergence

__all__ = ["AttentionTransfer", "Correlated", "Decoupled", "Hint", "SoftLabels", "divergence"]
