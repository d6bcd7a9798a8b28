"""What is wrong with a policy, found by computing with its conditions instead of trying readings."""

from __future__ import annotations

from collections.abc import Collection

from pocketfit.policy.checks.artifacts import check_artifacts
from pocketfit.policy.checks.feedback import check_feedback
from pocketfit.policy.checks.finding import Finding, Kind
from pocketfit.policy.checks.flapping import check_flapping
from pocketfit.policy.checks.gaps import check_gaps
from pocketfit.policy.checks.reach import check_reach
from pocketfit.policy.regions import Space
from pocketfit.policy.spec import ArtifactRef, Policy

__all__ = ["Finding", "Kind", "check_policy"]


def check_policy(policy: Policy, artifacts: Collection[ArtifactRef] | None = None) -> tuple[Finding, ...]:
    """Find what is wrong with a policy.

    Args:
        policy: that can be read.
        artifacts: all that the bundles have; None does not check the variants' artifacts.

    Returns:
        Faults before notes.
    """
    space = Space(policy)
    found = [*check_reach(space), *check_flapping(space), *check_feedback(space), *check_gaps(space)]
    if artifacts is not None:
        found += check_artifacts(policy, artifacts)
    return tuple(sorted(found, key=lambda finding: not finding.is_fault))
