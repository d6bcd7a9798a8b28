"""A policy and the artifacts that it chooses among."""

from __future__ import annotations

from collections.abc import Collection

from pocketfit.errors import InputError
from pocketfit.policy import ArtifactRef, Policy
from pocketfit.policy.checks.artifacts import check_artifacts

__all__ = ["check_policy_fits"]


def check_policy_fits(policy: Policy, artifacts: Collection[ArtifactRef]) -> None:
    """See that each of the policy's variants can be run with what a bundle has.

    Args:
        policy: of the bundle.
        artifacts: of the bundle and of its variants.

    Raises:
        InputError: a variant names none of them.
    """
    faults = [finding for finding in check_artifacts(policy, artifacts) if finding.is_fault]
    if faults:
        raise InputError(f"the policy cannot be followed: {faults[0].message}. Correct it, or {faults[0].remedy}")
