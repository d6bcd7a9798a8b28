"""Run a bundle's artifacts on samples of known identity, and store the thresholds that come of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pocketfit.bundle.files import write_text
from pocketfit.bundle.manifest import ArtifactEntry
from pocketfit.bundle.place import put
from pocketfit.bundle.read import Bundle
from pocketfit.bundle.rewrite import check_rewritable, copy_files, write_manifest
from pocketfit.bundle.verify import select_entries, why_not_here
from pocketfit.bundle.write import BUNDLE
from pocketfit.errors import InputError, RuntimeMissing
from pocketfit.matching import Thresholds, thresholds_to_json
from pocketfit.matching.thresholds import FILE
from pocketfit.rows import apart
from pocketfit.types import Samples
from pocketfit.verify.run import outputs_of, store_inputs

__all__ = ["check_one_variant", "first_outputs", "store_thresholds"]


def first_outputs(
    bundle: Bundle,
    samples: Samples,
    *,
    runtimes: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[list[tuple[ArtifactEntry, np.ndarray]], list[tuple[ArtifactEntry, str]]]:
    """The first output of every artifact for every sample, each in a child process.

    Args:
        bundle: whose artifacts are run.
        samples: as the model takes them.
        runtimes: names of the runtimes; None for all in the bundle.
        progress: called with the name of each artifact before it is run.

    Returns:
        N×… for each artifact that runs here, and why for each that does not.

    Raises:
        InputError: the models are encrypted.
        OptionError: a runtime that the bundle does not have.
        RuntimeMissing: none of them runs here.
        IsolationError: a runtime crashed, hung or raised.
    """
    found, left_out = [], []
    with tempfile.TemporaryDirectory(prefix="pocketfit-thresholds-") as folder:
        work = Path(folder)
        store_inputs(samples, work)
        for entry in select_entries(bundle, runtimes):
            if reason := why_not_here(entry.runtime):
                left_out.append((entry, reason))
                continue
            if progress is not None:
                progress(entry.title)
            artifact = bundle.artifact(entry)
            outputs_of(artifact, work, work / "outputs.npy")
            found.append((entry, apart(np.load(work / "outputs.npy"), artifact.outputs)[0]))
    if not found:
        reasons = "; ".join(reason for _, reason in left_out)
        raise RuntimeMissing(f"nothing in {bundle.path} can be run here: {reasons}")
    return found, left_out


def store_thresholds(bundle: Bundle, thresholds: Thresholds, destination: Path) -> Path:
    """Write the bundle again with thresholds in it; a signature that it had is left out.

    Args:
        bundle: of one variant.
        thresholds: of its artifacts.
        destination: as for `write_bundle`; it may be the bundle's own folder.

    Returns:
        The destination, absolute.

    Raises:
        InputError: it is of several variants, or the manifest is of schema 1.
        OutputError: the destination holds something else, or it cannot be written.
    """
    check_one_variant(bundle)

    def fill(root: Path) -> None:
        copy_files(bundle, root)
        name = write_text(root, FILE, thresholds_to_json(thresholds))
        write_manifest(root, bundle.manifest, {"thresholds": name})

    return put(destination, BUNDLE, fill)


def check_one_variant(bundle: Bundle) -> None:
    """See that thresholds can be stored in a bundle; errors are those of `store_thresholds`."""
    if bundle.others:
        raise InputError(
            f"{bundle.path} has several variants. Choose the thresholds of each bundle that it was joined of, then join"
        )
    check_rewritable(bundle)
