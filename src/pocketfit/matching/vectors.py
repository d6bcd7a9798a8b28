"""Test vectors for other languages: galleries, with every score to the last bit, and faces cut out bit for bit.

A file has one case a line, a JSON object; docs/matching.md describes it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from pocketfit.data.contract.examples import noise as noise_bytes
from pocketfit.errors import DataError, InputError, OutputError
from pocketfit.matching.align import ARCFACE, align
from pocketfit.matching.gallery import Gallery

__all__ = ["COMMITTED_MATCHING", "replay", "write_matching_vectors"]

COMMITTED_MATCHING = Path(__file__).parent / "vectors.jsonl"

NAMES = ("ann", "Björn", "中村", "d e", "eve")
# Lengths that fill the four sums and that do not.
LENGTHS = (1, 2, 7, 16, 33, 128)


def write_matching_vectors(path: Path, *, count: int, steps: int, seed: int) -> None:
    """Write random galleries, then as many faces.

    Args:
        path: of the file.
        count: of the galleries.
        steps: in each of them.
        seed: equal seeds give equal files.

    Raises:
        OutputError: the file cannot be written.
    """
    rng = Random(seed)
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            galleries = (_gallery(rng, f"gallery-{index}", steps) for index in range(count))
            for case in (*galleries, *(_face(rng, f"face-{index}") for index in range(count))):
                file.write(json.dumps(case, separators=(",", ":"), allow_nan=False) + "\n")
    except OSError as error:
        raise OutputError(
            f"the vectors cannot be written to {path} ({error.strerror}). Give a file in a folder that can be written"
        ) from error


def _gallery(rng: Random, name: str, steps: int) -> dict[str, Any]:
    """Random embeddings of a few persons, some without a direction, and what a gallery does with them."""
    length = rng.choice(LENGTHS)
    rows = _embeddings(rng, length)
    case: dict[str, Any] = {
        "name": name,
        "gallery": {"model": f"model {length}", "length": length, "threshold": rng.choice((-0.5, 0.0, 0.3, 0.6, 0.9))},
        "embeddings": base64.b64encode(rows.astype("<f4").tobytes()).decode(),
        "steps": [_step(rng, len(rows)) for _ in range(steps)],
    }
    return case | {"found": replay(case)}


def replay(case: dict[str, Any]) -> Any:
    """What the reference finds: of a face the sha256 of the pixels, of a gallery a list, an entry a step; null for what
    is refused.

    `enrol` gives its lowest cosine, `remove` true, `verify` the score and whether it is accepted, `search` names and
    scores, and `reload`, which goes on with what was read from the written bytes, their sha256.
    """
    if "landmarks" in case:
        return _aligned(case)
    told = case["gallery"]
    rows = np.frombuffer(base64.b64decode(case["embeddings"]), "<f4").reshape(-1, told["length"])
    gallery = Gallery(**told)
    found: list[Any] = []
    for step in case["steps"]:
        try:
            if step["do"] == "reload":
                content = gallery.to_bytes()
                gallery = Gallery.from_bytes(content, **told)
                found.append(hashlib.sha256(content).hexdigest())
            else:
                found.append(_do(gallery, rows, step))
        except InputError:
            found.append(None)
    return found


def _do(gallery: Gallery, rows: np.ndarray, step: dict[str, Any]) -> Any:
    if step["do"] == "enrol":
        return gallery.enrol(step["name"], rows[step["rows"]])
    if step["do"] == "remove":
        gallery.remove(step["name"])
        return True
    row = rows[step["rows"][0]]
    if step["do"] == "verify":
        return [gallery.score(step["name"], row), gallery.verify(step["name"], row)]
    return [[match.name, match.score] for match in gallery.search(row, step["most"])]


def _face(rng: Random, name: str) -> dict[str, Any]:
    """A picture of noise, and landmarks somewhere in it or half outside; now and then none that have a size."""
    height, width = rng.randint(1, 90), rng.randint(1, 90)
    turn = rng.uniform(0.1, 1.5) * np.exp(1j * rng.uniform(-np.pi, np.pi))
    points = (ARCFACE - 56) @ (1, 1j) * turn + complex(rng.uniform(0, width), rng.uniform(0, height))
    landmarks = np.stack([points.real, points.imag], axis=1) + np.array([rng.gauss(0, 2) for _ in range(10)]).reshape(
        5, 2
    )
    if rng.randrange(8) == 0:
        landmarks = np.full((5, 2), 7.0)
    noise = {"shape": [height, width, 3], "seed": rng.randrange(2**31)}
    case = {"name": name, "noise": noise, "landmarks": landmarks.ravel().tolist()}
    return case | {"found": replay(case)}


def _aligned(case: dict[str, Any]) -> str | None:
    image = noise_bytes(tuple(case["noise"]["shape"]), case["noise"]["seed"])
    try:
        return hashlib.sha256(align(image, np.array(case["landmarks"]).reshape(5, 2)).tobytes()).hexdigest()
    except DataError:
        return None


def _step(rng: Random, rows: int) -> dict[str, Any]:
    do = rng.choice(("enrol", "enrol", "verify", "search", "search", "remove", "reload"))
    count = rng.randint(1, 3) if do == "enrol" else 1
    chosen = rng.sample(range(rows), count)
    return {"do": do, "name": rng.choice(NAMES), "rows": chosen, "most": rng.randint(1, len(NAMES))}


def _embeddings(rng: Random, length: int) -> np.ndarray:
    """A cluster a person, of every magnitude; at the end zeros, a NaN, and two that cancel each other out."""
    random = np.random.default_rng(rng.randrange(2**32))
    centres = random.normal(size=(len(NAMES), length))
    rows = centres[:, None] + 0.4 * random.normal(size=(len(NAMES), 3, length))
    scaled = rows.reshape(-1, length) * 10.0 ** random.integers(-12, 12, (len(NAMES) * 3, 1))
    odd = np.zeros((4, length))
    odd[1, 0], odd[2, 0], odd[3, 0] = np.nan, 1, -1
    return np.concatenate([scaled, odd]).astype(np.float32)
