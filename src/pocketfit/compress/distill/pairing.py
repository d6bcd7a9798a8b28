"""Which layers of a student are compared with which of its teacher."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence

from pocketfit.compress.training.taps import Layer
from pocketfit.compress.training.transfer import Matched
from pocketfit.errors import OptionError
from pocketfit.types import LoadedModel

__all__ = ["automatic_pairs", "named_pairs"]

# How many allowed names an error gives.
NEAR = 5


def named_pairs(
    match: Sequence[tuple[str, str]],
    student: LoadedModel,
    layers: Sequence[Layer],
    teacher: LoadedModel,
    teacher_layers: Sequence[Layer],
) -> tuple[Matched, ...]:
    """The pairs that the user names.

    Raises:
        OptionError: a layer is not there, or gives no features.
    """
    return tuple(
        Matched(_found(one, layers, f"the student {student.name}"), _found(other, teacher_layers, _of(teacher)))
        for one, other in match
    )


def automatic_pairs(
    student: LoadedModel, layers: Sequence[Layer], teacher: LoadedModel, teacher_layers: Sequence[Layer]
) -> tuple[Matched, ...]:
    """The last layer of each resolution that both have, the finest first.

    A resolution is a share of the input's, so that a teacher of larger images has the same ones.

    Source: Zagoruyko and Komodakis, "Paying More Attention to Attention", 2017, section 4.1: the last layer of each
        group of blocks.

    Raises:
        OptionError: they have none in common.
    """
    one, other = _last(layers, student), _last(teacher_layers, teacher)
    shared = sorted(one.keys() & other.keys())
    if not shared:
        raise OptionError(
            f"the student {student.name} and {_of(teacher)} have no layers of the same resolution, as a share of the "
            f"input's: {_listed(one)}; {_listed(other)}. Name layers with --match, or compare answers alone."
        )
    return tuple(Matched(one[key], other[key]) for key in shared)


def _last(layers: Sequence[Layer], model: LoadedModel) -> dict[tuple[int, int], Layer]:
    """By resolution; a single place has nothing to say of where."""
    if len(model.input.shape) != 4:
        return {}
    return {_halvings(model.input.shape[2:], one): one for one in layers if math.prod(one.shape[1:]) > 1}


def _halvings(sides: tuple[int, ...], layer: Layer) -> tuple[int, int]:
    """How often height and width have been halved, to half a time: 227 and 224 pixels give 7 after five halvings."""
    height, width = (round(2 * math.log2(side / left)) for side, left in zip(sides, layer.shape[1:], strict=True))
    return height, width


def _found(name: str, layers: Sequence[Layer], whose: str) -> Layer:
    by_name = {one.name: one for one in layers}
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(name, by_name, n=NEAR, cutoff=0.4) or list(by_name)[-NEAR:]
    named = f"allowed are {len(by_name)}, such as {', '.join(near)}" if near else "it has none"
    raise OptionError(
        f"{whose} has no layer {name!r} that gives N x channels x height x width: {named}. "
        "Leave --match out to have layers paired automatically."
    )


def _of(teacher: LoadedModel) -> str:
    return f"the teacher {teacher.name}"


def _listed(layers: Mapping[tuple[int, int], Layer]) -> str:
    return ", ".join(map(str, layers.values())) or "none"
