"""Enrol eight persons, then look at samples of ten, and at copies of them: python recognise.py EMBEDDER GATE."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from stand_in import with_copies

from pocketfit.bundle import Bundle, read_bundle
from pocketfit.bundle.manifest import ArtifactEntry
from pocketfit.data.contract.postprocess import softmax
from pocketfit.data.digits import read_digits
from pocketfit.matching import Gate, Look, Recogniser
from pocketfit.runtimes import get_runtime
from pocketfit.types import Session

ENROLLED, PHOTOS = 8, 5
BUDGET_MS = {"prepare": 2.0, "liveness": 5.0, "embed": 15.0, "match": 1.0, "total": 20.0}


def recogniser(embedder: Path, gate: Path) -> Recogniser[np.ndarray]:
    """Both bundles opened with their chosen artifact for ONNX Runtime, its threshold and an empty gallery."""
    bundle, entry, session = _open(embedder)
    gate_bundle, gate_entry, live_session = _open(gate)
    thresholds = gate_bundle.thresholds()
    assert thresholds is not None and thresholds.live_class is not None
    live = thresholds.live_class
    return Recogniser(
        prepare=lambda picture: np.ascontiguousarray(picture[None]),  # the digits lie there as the model takes them
        embed=lambda given: session.run([given])[0],
        gallery=bundle.gallery(entry),
        gate=Gate(
            lambda given: float(softmax(live_session.run([given])[0][0])[live]),
            thresholds.of(gate_entry.runtime, gate_entry.precision).threshold,
        ),
        budget_ms=BUDGET_MS,
    )


def enrol(one: Recogniser[np.ndarray], gallery_file: Path) -> None:
    """Five samples of each of the first eight persons, and the file that an app would keep."""
    digits = read_digits()
    for person in range(ENROLLED):
        own = [position for position in digits.training if digits.labels[position] == person][:PHOTOS]
        embeddings = np.concatenate([one.embed(one.prepare(digits.inputs[position])) for position in own])
        least = one.gallery.enrol(f"person {person}", embeddings)
        print(f"person {person}: the sample least like the template has a cosine of {least:.3f}")
    one.gallery.save(gallery_file)
    print(f"{gallery_file}: {gallery_file.stat().st_size} bytes\n")


def main(embedder: Path, gate: Path) -> None:
    """Print what came of every look, and what the stages took."""
    one = recogniser(embedder, gate)
    enrol(one, Path("gallery.bin"))
    held_out = read_digits().held_out
    samples, live = with_copies(held_out)
    persons = np.tile(read_digits().labels[list(held_out)], 2)
    looks = [one.look(sample) for sample in samples]
    kinds = np.where(live == 0, "copies", np.where(persons < ENROLLED, "enrolled, live", "strangers, live"))
    for kind in ("enrolled, live", "strangers, live", "copies"):
        chosen = [(look, person) for look, person, own in zip(looks, persons, kinds, strict=True) if own == kind]
        counted = Counter(_said(look, int(person)) for look, person in chosen)
        print(f"{kind:16} {len(chosen):4}: " + ", ".join(f"{count} {said}" for said, count in counted.most_common()))
    print("\nstage      budget ms   p50 ms   p90 ms   late")
    for stage, limit in BUDGET_MS.items():
        spent = [look.ms[stage] for look in looks if stage in look.ms]
        late = sum(stage in look.late for look in looks)
        p50, p90 = np.percentile(spent, (50, 90))
        print(f"{stage:10} {limit:9.1f} {p50:8.3f} {p90:8.3f} {late:6}")


def _said(look: Look, person: int) -> str:
    if not look.matches:
        return str(look.outcome)
    return "right" if look.matches[0].name == f"person {person}" else "taken for another"


def _open(path: Path) -> tuple[Bundle, ArtifactEntry, Session]:
    bundle = read_bundle(path)
    entry = next(one for one in bundle.manifest.artifacts if one.chosen and one.runtime == "onnxruntime")
    return bundle, entry, get_runtime(entry.runtime).open(bundle.artifact(entry))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
