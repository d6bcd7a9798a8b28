"""Quantization-aware training: a plan's scales and biases, and the weights, learnt from the float model.

Read in this order: lsq → trainable → recipe → train → deploy.
"""

from pocketfit.compress.quantize.qat.recipe import (
    Loss,
    MixedPrecision,
    Optimizer,
    Schedule,
    TrainingRecipe,
    Trains,
)
from pocketfit.compress.quantize.qat.train import Step, Trained, train

__all__ = ["Loss", "MixedPrecision", "Optimizer", "Schedule", "Step", "Trained", "TrainingRecipe", "Trains", "train"]
