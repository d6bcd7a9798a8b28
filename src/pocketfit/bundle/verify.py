"""Replay a bundle's golden vectors in every runtime that is installed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from pocketfit.bundle.encryption import decrypted
from pocketfit.bundle.manifest import ArtifactEntry
from pocketfit.bundle.read import Bundle, read_bundle
from pocketfit.bundle.signature import Trust
from pocketfit.data.contract.own_vectors import replay
from pocketfit.errors import DataError, OptionError, PocketfitError, RuntimeMissing
from pocketfit.runtimes import all_runtimes, get_runtime, require, why_not_run_here
from pocketfit.runtimes.delegates import delegate_told
from pocketfit.types import KernelUse, Parity, Precision, Samples
from pocketfit.verify.parity import compare_outputs
from pocketfit.verify.run import outputs_of, store_inputs

__all__ = ["Check", "Outcome", "PreprocessCheck", "Verification", "select_entries", "verify_bundle", "why_not_here"]

# A handful of samples: even a large model on a busy host is through them in a fraction of this.
TIMEOUT_S = 600.0


class Outcome(StrEnum):
    """What came of replaying one artifact."""

    PASSED = "passed"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One artifact of the bundle.

    Args:
        runtime: name of the runtime.
        precision: of the artifact.
        outcome: what came of it.
        tolerance: largest absolute difference allowed.
        max_error: largest absolute difference found; None when it was not run.
        agreement: share of golden samples, 0..1, with the same largest output; None when it was not run.
        reason: why it was skipped or failed; empty when it passed.
        delegate: what became here of the delegate that it is made for; empty where that is the CPU.
    """

    runtime: str
    precision: Precision
    outcome: Outcome
    tolerance: float
    max_error: float | None = None
    agreement: float | None = None
    reason: str = ""
    delegate: str = ""


@dataclass(frozen=True)
class PreprocessCheck:
    """The preprocessing of the bundle, carried out on its own vectors.

    Args:
        outcome: what came of it.
        vectors: how many there are.
        reason: why it was skipped, or what differs; empty when all are equal.
    """

    outcome: Outcome
    vectors: int
    reason: str = ""


@dataclass(frozen=True)
class Verification:
    """A bundle whose files are intact, and how its artifacts did.

    Args:
        path: the bundle.
        files: number of files whose sha256 was right.
        checks: one per artifact.
        preprocess: of its preprocessing; None where it has none.
        name: of the variant; empty where there is only one.
        others: the variants behind the first.
    """

    path: Path
    files: int
    checks: tuple[Check, ...]
    preprocess: PreprocessCheck | None = None
    name: str = ""
    others: tuple[Verification, ...] = ()

    @property
    def variants(self) -> tuple[Verification, ...]:
        """Every variant, itself the first."""
        return (self, *self.others)

    def with_outcome(self, outcome: Outcome) -> tuple[Check, ...]:
        """The checks that came out so, of every variant."""
        return tuple(check for one in self.variants for check in one.checks if check.outcome is outcome)


def verify_bundle(
    path: Path,
    *,
    runtimes: Sequence[str] | None = None,
    log_dir: Path | None = None,
    progress: Callable[[str], None] | None = None,
    trust: Trust | None = None,
    key: bytes | None = None,
) -> Verification:
    """Check every file, run every artifact on the golden inputs in a child process, and replay the preprocessing.

    A bundle of several variants is checked variant by variant, and its policy is read.

    Args:
        path: the bundle's folder.
        runtimes: names of the runtimes to check; None for all in the bundle.
        log_dir: folder for what the runtimes print, a file per artifact; None keeps it for the reasons only.
        progress: called with the name of each artifact before it is run.
        trust: a signature and a release that are demanded; None for neither.
        key: that its models are encrypted with; None where they are not.

    Raises:
        InputError: there is no bundle, its manifest, policy or thresholds are not valid, or a key is missing.
        OptionError: a runtime that the bundle does not have.
        VerificationFailed: a file is missing or not the one that was written, or what is demanded is not true.
        RuntimeMissing: signatures or encryption, and the package cryptography is not installed.
    """
    bundle = read_bundle(path, trust)
    bundle.policy()
    found = []
    for name, one in {bundle.name: bundle, **bundle.others}.items():
        one.thresholds()
        with decrypted(one, key) as plain:
            found.append(replace(_verify(plain, runtimes, log_dir, progress), path=one.path, name=name))
    return replace(found[0], others=tuple(found[1:]))


def _verify(
    bundle: Bundle, runtimes: Sequence[str] | None, log_dir: Path | None, progress: Callable[[str], None] | None
) -> Verification:
    entries = select_entries(bundle, runtimes)
    with tempfile.TemporaryDirectory(prefix="pocketfit-verify-") as folder:
        work = Path(folder)
        store_inputs(Samples(bundle.golden_inputs(), labels=None, preprocess=None), work)
        checks = tuple(_check(bundle, entry, work, log_dir, progress) for entry in entries)
        return Verification(bundle.path, len(bundle.manifest.files), checks, _check_preprocess(bundle))


def _check_preprocess(bundle: Bundle) -> PreprocessCheck | None:
    vectors = bundle.manifest.preprocess_vectors
    if bundle.manifest.preprocess is None:
        return None
    if vectors is None:
        return PreprocessCheck(Outcome.SKIPPED, 0, "the bundle has no vectors: it was written by an older Pocketfit")
    contract = bundle.contract()
    assert contract is not None
    try:
        count, wrong = replay((bundle.path / vectors).read_text(encoding="utf-8"), contract)
    except DataError as error:
        return PreprocessCheck(Outcome.FAILED, 0, str(error))
    return PreprocessCheck(Outcome.FAILED if wrong else Outcome.PASSED, count, "; ".join(wrong))


def select_entries(bundle: Bundle, runtimes: Sequence[str] | None) -> tuple[ArtifactEntry, ...]:
    """The artifacts of these runtimes, all where None.

    Raises:
        OptionError: a runtime that the bundle does not have.
    """
    artifacts = bundle.manifest.artifacts
    there = dict.fromkeys(entry.runtime for entry in artifacts)
    wanted = there if runtimes is None else dict.fromkeys(runtimes)
    if unknown := [name for name in wanted if name not in there]:
        raise OptionError(f"the bundle {bundle.path} has nothing for {', '.join(unknown)}; it has {', '.join(there)}")
    return tuple(entry for entry in artifacts if entry.runtime in wanted)


def _check(
    bundle: Bundle, entry: ArtifactEntry, work: Path, log_dir: Path | None, progress: Callable[[str], None] | None
) -> Check:
    if reason := why_not_here(entry.runtime):
        return Check(entry.runtime, entry.precision, Outcome.SKIPPED, entry.tolerance, reason=reason)
    if progress is not None:
        progress(entry.title)
    try:
        return _judge(entry, *_replay(bundle, entry, work, log_dir))
    except PocketfitError as error:
        return Check(entry.runtime, entry.precision, Outcome.FAILED, entry.tolerance, reason=str(error))


def why_not_here(name: str) -> str:
    """Why a runtime cannot be used on this host; empty when it can."""
    if name not in [runtime.info.name for runtime in all_runtimes()]:
        return f"no installed package brings the runtime '{name}'"
    runtime = get_runtime(name)
    if reason := why_not_run_here(runtime):
        return f"not run here: {reason}"
    try:
        require(runtime)
    except RuntimeMissing as error:
        return str(error)
    return ""


def _replay(bundle: Bundle, entry: ArtifactEntry, work: Path, log_dir: Path | None) -> tuple[Parity, KernelUse]:
    import numpy as np

    log = log_dir / f"{entry.runtime}-{entry.precision}.log" if log_dir else None
    out = work / "outputs.npy"
    kernels = outputs_of(bundle.artifact(entry), work, out, timeout_s=TIMEOUT_S, log=log)
    return compare_outputs(np.load(out), bundle.golden_outputs(entry), bundle.artifact(entry).outputs), kernels


def _judge(entry: ArtifactEntry, parity: Parity, kernels: KernelUse) -> Check:
    passed = parity.max_error <= entry.tolerance
    return Check(
        runtime=entry.runtime,
        precision=entry.precision,
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        tolerance=entry.tolerance,
        max_error=parity.max_error,
        agreement=parity.agreement,
        reason="" if passed else f"differs by {parity.max_error:.3g}, more than the {entry.tolerance:.3g} allowed",
        delegate=delegate_told(kernels),
    )
