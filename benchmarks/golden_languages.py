"""The shared test vectors in every language that the code for apps is written in.

Those of the preprocessing contract have to come out bit for bit, answers within 2e-6; the suite `policy` has random
policies and readings of 12 frames, every decision of which has to be that of the Python engine. `ed25519` and `aes_gcm`
have the vectors of the standards and random ones, and each of them spoilt in every way, which has to be refused.
`gallery` has random enrolments and searches, 40 in each, every score of which has to be equal to the last bit; `align`
has faces cut out of pictures of noise, bit for bit. `frames` has random cameras of 60 frames before models that keep up
or do not, and `frame threads` is one camera with threads. A target whose compiler or emulator is not installed has no
rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import Row
from pocketfit.apps.selftest import TARGETS, build
from pocketfit.bundle.vectors import COMMITTED as INTEGRITY
from pocketfit.data.contract import write_vectors
from pocketfit.errors import RuntimeMissing
from pocketfit.matching.vectors import write_matching_vectors
from pocketfit.policy.frame_vectors import write_frame_vectors
from pocketfit.policy.vectors import write_vectors as write_policies

TRACES, FRAMES, SEED = 10_000, 12, 2026
CAMERAS, CAMERA_FRAMES = 1_000, 60
GALLERIES, GALLERY_STEPS = 1_000, 40


def run() -> Iterator[Row]:
    """One row per target and suite."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        steps = write_vectors(home / "steps")
        write_policies(home / "policies.jsonl", count=TRACES, frames=FRAMES, seed=SEED)
        write_frame_vectors(home / "frames.jsonl", count=CAMERAS, frames=CAMERA_FRAMES, seed=SEED)
        write_matching_vectors(home / "matching.jsonl", count=GALLERIES, steps=GALLERY_STEPS, seed=SEED)
        files = ("policies.jsonl", "frames.jsonl", "matching.jsonl")
        vectors = [*steps, *INTEGRITY, *(home / name for name in files)]
        for number, target in enumerate(TARGETS):
            (home / str(number)).mkdir()
            try:
                selftest = build(target, home / str(number))
            except RuntimeMissing as missing:
                print(missing)
                continue
            _, suites, told = selftest.run(vectors)
            print(told, end="")
            for suite in suites:
                row = {"language": target.name.partition(",")[0], "target": target.name, "suite": suite.suite}
                yield row | {"passed": suite.passed, "total": suite.total}
