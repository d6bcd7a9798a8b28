"""What a student learns from a teacher: one loss a file, each a module from two answers to a number.

student's logits, teacher's logits, labels ─→ SoftLabels | Decoupled | Correlated
student's features, teacher's features     ─→ Hint | AttentionTransfer
"""

from pocketfit.compress.training.losses.attention_transfer import AttentionTransfer
from pocketfit.compress.training.losses.correlated import Correlated
from pocketfit.compress.training.losses.decoupled import Decoupled
from pocketfit.compress.training.losses.hint import Hint
from pocketfit.compress.training.losses.soft_labels import SoftLabels, divergence

__all__ = ["AttentionTransfer", "Correlated", "Decoupled", "Hint", "SoftLabels", "divergence"]
