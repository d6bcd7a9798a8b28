"""Are two embeddings of the same person: operating points, enrolment, search, and what comes before them in an app."""

from pocketfit.matching.align import ARCFACE, align, similarity
from pocketfit.matching.gallery import Gallery, Match, normalised
from pocketfit.matching.rates import OperatingPoint, Scored, all_pairs, cosines, operating_points, probabilities
from pocketfit.matching.recognise import Gate, Look, Outcome, Recogniser
from pocketfit.matching.thresholds import ArtifactThreshold, Thresholds, thresholds_from_json, thresholds_to_json

__all__ = [
    "ARCFACE",
    "ArtifactThreshold",
    "Gallery",
    "Gate",
    "Look",
    "Match",
    "OperatingPoint",
    "Outcome",
    "Recogniser",
    "Scored",
    "Thresholds",
    "align",
    "all_pairs",
    "cosines",
    "normalised",
    "operating_points",
    "probabilities",
    "similarity",
    "thresholds_from_json",
    "thresholds_to_json",
]
