"""Pictures in the shape of real input: photos of 160x160 with five landmarks each, aligned to 112x112.

They are random patterns, one a person, turned and shifted a little from photo to photo; nothing in them is a face.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pocketfit.matching import ARCFACE, align
from pocketfit.models.zoo.mobilefacenet import MobileFaceNet

SIDE, PERSONS, PHOTOS = 160, 12, 6


def untrained() -> nn.Module:
    """MobileFaceNet with random weights, the same ones every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MobileFaceNet().eval()


def photo(person: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """One photo of a person, uint8 160x160x3, and the five points that a detector would find in it."""
    pattern = np.random.default_rng(person).normal(size=(4, 3, 5))
    random = np.random.default_rng((person, index))
    angle, scale, shift = random.normal(0, 0.2), random.uniform(0.8, 1.2), random.normal(80, 5, 2)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (ARCFACE - 56) @ turn.T + shift
    y, x = np.mgrid[:SIDE, :SIDE]
    seen = np.stack([x - shift[0], y - shift[1]], axis=-1) @ np.linalg.inv(turn).T / 56
    waves = [np.cos(3 * (seen @ wave[:2, i]) + wave[2, i]) for wave in pattern for i in range(3)]
    colours = np.stack(waves).reshape(4, 3, SIDE, SIDE).mean(axis=0).transpose(1, 2, 0)
    noisy = 127.5 + 90 * colours + random.normal(0, 12, (SIDE, SIDE, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8), points


def write_portraits(path: Path) -> None:
    """Aligned photos, uint8 N x 112 x 112 x 3, and whose they are."""
    faces = [align(*photo(person, index)) for person in range(PERSONS) for index in range(PHOTOS)]
    np.savez_compressed(path, x=np.stack(faces), y=np.repeat(np.arange(PERSONS), PHOTOS))


if __name__ == "__main__":
    write_portraits(Path(sys.argv[1]))
