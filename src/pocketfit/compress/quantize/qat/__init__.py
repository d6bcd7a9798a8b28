"""Quantization-aware training: a plan's scales and biases, and the weights, learnt from the float model.

Read in this order: lsq → trainable → recipe → train → deploy. The loop itself is `compress.training`'s.
"""

from pocketfit.compress.quantize.qat.recipe import TrainingRecipe, Trains
from pocketfit.compress.quantize.qat.train import Trained, train

__all__ = ["Trained", "TrainingRecipe", "Trains", "train"]
