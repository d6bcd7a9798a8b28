"""Whether an app prepares images as the model needs it, told from what it gave the model or what it got back.

Every known fault is a hypothesis, and so is that nothing is wrong: each is simulated on the same images, and the one
nearest to the app's numbers is believed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pocketfit.contract import Contract, Layout
from pocketfit.data.faults import FAULTS, Fault, together
from pocketfit.data.preprocess import arithmetic
from pocketfit.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["MOST_IMAGES", "Diagnosis", "diagnose_preprocess"]

MOST_IMAGES = 64

# Decoders of JPEG differ by a level here and there, resizes round differently; other kernels differ by more.
LEVELS_ALLOWED = 3.0
LEAST_LEVELS = 0.5
# Of the spread of the right outputs over the images: what INT8 may cost a model that is still of use.
SPREAD_ALLOWED = 0.25
# How far along the way from the right numbers to a fault's the app's must lie: half way is nearer to neither.
ALIGNED = 0.7
# How many times further than by chance.
SIGNIFICANT = 5.0
# What may be left of the error, once it is explained by a fault.
UNEXPLAINED = 0.4
# Where no fault alone explains the error, so many of the nearest are tried together with each other one.
PAIRED = 3
# Nothing more is looked for where this share of a fault is all that it leaves.
NEGLIGIBLE = 0.03
# Faults whose errors differ by less than this factor cannot be told apart.
ALIKE = 1.1

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Diagnosis:
    """What an app does to its images.

    Args:
        differs: whether that is something else than the preprocessing of the model.
        named: the fault that explains it, or two joined by a plus; empty where none does, or nothing differs.
        meaning: of that fault, in a sentence.
        alike: other faults that do the same to these images, or nearly so.
        error: root mean square difference from the right preprocessing, in levels of a pixel where tensors were given;
            of outputs, as a share of their spread over the images.
        allowed: error above which there is a difference, named or not.
        scores: the error that is left under each fault, smallest first; a fault that changes these images no more than
            rounding does is left out.
    """

    differs: bool
    named: str
    meaning: str
    alike: tuple[str, ...]
    error: float
    allowed: float
    scores: Mapping[str, float]

    def __str__(self) -> str:
        if not self.differs:
            return "The app prepares images as the model needs it."
        if not self.named:
            return "The app prepares images in another way than the model needs it, and no known fault explains how."
        alike = f" On these images that is the same as {', '.join(self.alike)}." if self.alike else ""
        return f"The app prepares images wrongly: {self.named}. {self.meaning}{alike}"


def diagnose_preprocess(
    images: Sequence[Image.Image | np.ndarray],
    spec: Contract,
    given: np.ndarray,
    run: Run | None = None,
    *,
    faults: Sequence[Fault] = FAULTS,
    allowed: float | None = None,
) -> Diagnosis:
    """Compare an app with the preprocessing that the model needs; labels are not needed.

    Args:
        images: 1..64 decoded images in full size: of Pillow, or uint8 height × width × 3, RGB. Photos with colour that
            are not square and not symmetric tell most. Each is prepared anew for every fault: a megapixel each
            is enough, for the app as well.
        spec: the right preprocessing.
        given: by the app for these images, in this order: the model's inputs, float in the layout of `spec`; or, with
            `run`, the outputs that it got.
        run: the model, from float32 in that layout to outputs N×…; best the very file that the app uses, since what
            INT8 costs is noise here.
        faults: hypotheses.
        allowed: error above which there is a difference even if no fault explains it, as `Diagnosis.error` counts;
            None for 3 levels; of outputs for 0.25, or four times what noise of one level does to them if that is more.

    Raises:
        DataError: too many or no images, or numbers that do not belong to them.
    """
    if not 1 <= len(images) <= MOST_IMAGES:
        raise DataError(f"{len(images)} images were given; give 1..{MOST_IMAGES}.")
    if spec.layout is Layout.NHWC:
        given, run = (_channels_first(given), None) if run is None else (given, _taking_channels_first(run))
        spec = replace(spec, layout=Layout.NCHW)
    pixels = Fault("", "").pixels(images, spec)
    right = arithmetic(pixels, spec)
    space = _levels(right, spec) if run is None else _outputs(right, spec, run)
    got = _checked(given, space.right)
    error, limit = space.distance(got, space.right), space.allowed if allowed is None else allowed

    def effects_of(several: Iterable[Fault]) -> list[_Effect]:
        return _effects(((fault, _simulated(fault, images, pixels, spec)) for fault in several), space, got)

    effects = effects_of(faults)
    explained = bool(effects) and _explains(effects[0], error, limit, got.size)
    rest = effects[0].error / effects[0].size if explained else math.inf
    if rest > NEGLIGIBLE and (explained or error > limit):
        pairs = effects_of(_pairs([effect.fault for effect in effects[: 1 if explained else PAIRED]], faults))
        if pairs and pairs[0].error < UNEXPLAINED * effects[0].error:
            return _told(pairs, True, error, limit)
    return _told(effects, explained, error, limit)


def _channels_first(given: np.ndarray) -> np.ndarray:
    return given.transpose(0, 3, 1, 2) if given.ndim == 4 else given


def _taking_channels_first(run: Run) -> Run:
    return lambda inputs: run(np.ascontiguousarray(inputs.transpose(0, 2, 3, 1)))


def _pairs(nearest: Sequence[Fault], faults: Sequence[Fault]) -> list[Fault]:
    """Each of the nearest together with each other fault, as far as both can happen at once."""
    pairs = {frozenset((one, other)): together(one, other) for one in nearest for other in faults if one is not other}
    return [pair for pair in pairs.values() if pair is not None]


@dataclass(frozen=True)
class _Space:
    """Where an app is compared with the hypotheses.

    Args:
        look: from the model's inputs to the numbers that are compared.
        right: those of the right preprocessing.
        scale: times a difference of two such numbers gives the unit of `Diagnosis.error`.
        least: a fault that is nearer to the right numbers than this is taken for rounding.
        allowed: error above which there is a difference.
    """

    look: Run
    right: np.ndarray
    scale: np.ndarray
    least: float
    allowed: float

    def distance(self, one: np.ndarray, other: np.ndarray) -> float:
        """Root mean square difference; infinite where one is no number."""
        with np.errstate(over="ignore", invalid="ignore"):
            squares = [self._square(a, b) for a, b in zip(one, other, strict=True)]
        mean = math.fsum(squares) / len(squares)
        return math.sqrt(mean) if math.isfinite(mean) else math.inf

    def _square(self, one: np.ndarray, other: np.ndarray) -> float:
        return float(np.square((one - other) * self.scale, dtype=np.float64).mean())


def _levels(right: np.ndarray, spec: Contract) -> _Space:
    """The tensors themselves, in levels of a pixel."""
    return _Space(lambda inputs: inputs, right, 1 / _level(spec), LEAST_LEVELS, LEVELS_ALLOWED)


def _outputs(right: np.ndarray, spec: Contract, run: Run) -> _Space:
    """What the model answers, as a share of how far its answers to these images lie apart."""

    def look(inputs: np.ndarray) -> np.ndarray:
        return np.asarray(run(inputs), dtype=np.float64)

    answers = look(right)
    spread = float(answers.std(axis=0).mean()) or float(np.abs(answers).mean()) or 1.0
    space = _Space(look, answers, np.array(1 / spread), 0.0, SPREAD_ALLOWED)
    noise = np.random.default_rng(0).integers(-1, 2, right.shape) * _level(spec)
    rounding = space.distance(look((right + noise).astype(np.float32)), answers)
    return replace(space, least=rounding, allowed=max(SPREAD_ALLOWED, 4 * rounding))


def _level(spec: Contract) -> np.ndarray:
    """What one level of a pixel is in the model's input, by channel."""
    return np.float32(spec.scale) / np.array(spec.std, dtype=np.float32).reshape(-1, 1, 1)


def _checked(given: np.ndarray, right: np.ndarray) -> np.ndarray:
    if given.shape != right.shape:
        raise DataError(
            f"The app gave {_sizes(given.shape)} numbers, and these images make {_sizes(right.shape)}. Give the app's "
            "tensors with channels first, or its outputs together with the model, one for each image."
        )
    if not np.isfinite(given).all():
        raise DataError("The app gave numbers that are not finite. Look at what it writes before it is compared.")
    return np.asarray(given)


@dataclass(frozen=True)
class _Effect:
    """What a fault does to these images.

    Args:
        fault: the first of those that do exactly this.
        same: names of the others.
        size: how far it leads from the right numbers.
        error: how far the app's are from it.
    """

    fault: Fault
    same: tuple[str, ...]
    size: float
    error: float


def _effects(simulated: Iterable[tuple[Fault, np.ndarray | None]], space: _Space, got: np.ndarray) -> list[_Effect]:
    """Every fault that can be seen on these images, the nearest to the app's numbers first."""
    found: dict[bytes, _Effect] = {}
    for fault, inputs in simulated:
        if inputs is None:
            continue
        key = hashlib.sha256(inputs.tobytes()).digest()
        if key in found:
            found[key] = replace(found[key], same=(*found[key].same, fault.name))
        else:
            numbers = space.look(inputs)
            size, error = space.distance(numbers, space.right), space.distance(numbers, got)
            found[key] = _Effect(fault, (), size, error)
    return sorted((effect for effect in found.values() if effect.size > space.least), key=lambda effect: effect.error)


def _simulated(
    fault: Fault, images: Sequence[Image.Image | np.ndarray], pixels: np.ndarray, spec: Contract
) -> np.ndarray | None:
    """What the fault makes of the images; None where it cannot happen, as when turned they no longer fit together."""
    if fault.numeric:
        return fault.compute(pixels, spec)
    try:
        inputs = fault.inputs(images, spec)
    except DataError:
        return None
    return inputs if inputs.shape[2:] == pixels.shape[1:3] else None


def _told(effects: Sequence[_Effect], explained: bool, error: float, allowed: float) -> Diagnosis:
    best = effects[0] if explained else None
    near = [effect for effect in effects[1:] if best is not None and effect.error <= ALIKE * best.error]
    return Diagnosis(
        differs=explained or error > allowed,
        named="" if best is None else best.fault.name,
        meaning="" if best is None else best.fault.meaning,
        alike=() if best is None else (*best.same, *(effect.fault.name for effect in near)),
        error=error,
        allowed=allowed,
        scores={effect.fault.name: effect.error for effect in effects},
    )


def _explains(effect: _Effect, error: float, allowed: float, numbers: int) -> bool:
    """Whether the app's numbers lie where the fault leads, by no accident, and little is left to explain."""
    if not (math.isfinite(effect.error) and math.isfinite(effect.size)):
        return False
    along = (error**2 - effect.error**2 + effect.size**2) / (2 * effect.size**2)
    # As far as what is left would lead by chance, if it were noise in numbers that have nothing to do with each other.
    chance = effect.error / (effect.size * math.sqrt(numbers))
    return along >= max(ALIGNED, SIGNIFICANT * chance) and effect.error <= max(UNEXPLAINED * error, allowed)


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)
