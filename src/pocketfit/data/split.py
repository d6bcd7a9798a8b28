"""Which samples calibrate and which are held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pocketfit.errors import DataError, OptionError

__all__ = ["Split", "check_counts", "shuffled", "split"]

FEWEST = 8


@dataclass(frozen=True)
class Split:
    """Positions of the samples of either set, without overlap.

    Args:
        calibration: in the order they are fed.
        evaluation: likewise.
        notes: where fewer than wanted were to be had.
    """

    calibration: tuple[int, ...]
    evaluation: tuple[int, ...]
    notes: tuple[str, ...] = ()


def split(keys: Sequence[bytes], calibration: int, evaluation: int | None, spec: str) -> Split:
    """Split by the hash of a key: the same samples in every run, without regard to class or order.

    Args:
        keys: what a sample is recognised by, such as its path.
        calibration: number of calibration samples wanted; at least half of all samples stay held out.
        evaluation: largest number of held-out samples; None for all.
        spec: what the user wrote, for the message.

    Raises:
        DataError: fewer than 8 samples.
        OptionError: a number below 1.
    """
    check_counts(calibration, evaluation)
    if len(keys) < FEWEST:
        raise DataError(f"{spec} holds {len(keys)} samples; at least {FEWEST} are needed, 100 to calibrate are better.")
    order, taken = shuffled(keys), min(calibration, len(keys) // 2)
    return Split(tuple(order[:taken]), tuple(order[taken:][:evaluation]), _notes(len(keys), taken, calibration))


def check_counts(calibration: int, evaluation: int | None) -> None:
    """Refuse numbers of samples below 1.

    Raises:
        OptionError: naming the number.
    """
    if calibration < 1 or (evaluation is not None and evaluation < 1):
        raise OptionError(f"{calibration} calibration and {evaluation} evaluation samples are asked; give at least 1.")


def shuffled(keys: Sequence[bytes]) -> list[int]:
    """Positions ordered by the sha256 of their keys."""
    return sorted(range(len(keys)), key=lambda position: hashlib.sha256(keys[position]).digest())


def _notes(total: int, taken: int, wanted: int) -> tuple[str, ...]:
    if taken == wanted:
        return ()
    return (
        f"Of {total} samples {taken} calibrate, not {wanted}: at least half of them are held out for the evaluation.",
    )
