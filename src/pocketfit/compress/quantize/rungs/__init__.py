"""The steps of the rescue ladder, one a file, in the order in which they are tried."""

from pocketfit.compress.quantize.rungs.between import FloatBetween
from pocketfit.compress.quantize.rungs.correction import CorrectBiases
from pocketfit.compress.quantize.rungs.equalization import Equalize
from pocketfit.compress.quantize.rungs.mixed import MixPrecision
from pocketfit.compress.quantize.rungs.ranges import ChooseRanges
from pocketfit.compress.quantize.rungs.rounding import AdaptRounding, Reconstruct
from pocketfit.compress.quantize.rungs.smoothing import Smooth
from pocketfit.compress.quantize.rungs.training import Train

__all__ = [
    "AdaptRounding",
    "ChooseRanges",
    "CorrectBiases",
    "Equalize",
    "FloatBetween",
    "MixPrecision",
    "Reconstruct",
    "Smooth",
    "Train",
]
