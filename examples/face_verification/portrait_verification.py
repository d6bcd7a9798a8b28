"""The shape of the real thing, 112x112 in -1..1, through align, prepare, embed and search: BUNDLE as argument."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from portraits import PERSONS, photo

from pocketfit.bundle import read_bundle
from pocketfit.data.contract import prepare
from pocketfit.matching import Recogniser, align
from pocketfit.runtimes import get_runtime

ENROLLED, LOOKS = range(3), range(100, 105)


def main(path: Path) -> None:
    """For each artifact that has a threshold: enrol everybody, look at new photos, tell the time of the stages."""
    bundle = read_bundle(path)
    contract = bundle.contract()
    assert contract is not None
    print("artifact              right  wrong  nobody   ms: prepare    embed    match")
    for entry in bundle.manifest.artifacts:
        session = get_runtime(entry.runtime).open(bundle.artifact(entry))
        one = Recogniser(
            prepare=lambda seen: prepare(align(*seen), contract),
            embed=lambda given, session=session: session.run([given])[0],
            gallery=bundle.gallery(entry),
        )
        for person in range(PERSONS):
            taken = [one.embed(one.prepare(photo(person, index))) for index in ENROLLED]
            one.gallery.enrol(str(person), np.concatenate(taken))
        looks = [(one.look(photo(person, index)), str(person)) for person in range(PERSONS) for index in LOOKS]
        right = sum(bool(look.matches) and look.matches[0].name == name for look, name in looks)
        nobody = sum(not look.matches for look, _ in looks)
        times = [np.median([look.ms[stage] for look, _ in looks]) for stage in ("prepare", "embed", "match")]
        figures = "".join(f"{ms:9.2f}" for ms in times)
        print(f"{entry.title:20} {right:6} {len(looks) - right - nobody:6} {nobody:7}    {figures}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
