"""Variants that a bundle does not have."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pocketfit.policy.checks.finding import Finding, Kind
from pocketfit.policy.spec import DEFAULT, ArtifactRef, Policy

__all__ = ["check_artifacts"]


def check_artifacts(policy: Policy, artifacts: Collection[ArtifactRef]) -> Iterator[Finding]:
    """Variants none of whose artifacts is there, and artifacts that are missing beside others.

    Args:
        policy: whose variants are looked up.
        artifacts: all that there are.
    """
    for variant in policy.variants:
        missing = [artifact for artifact in variant.artifacts if artifact not in artifacts]
        if missing:
            none_left = len(missing) == len(variant.artifacts)
            yield Finding(
                Kind.NO_ARTIFACT,
                _users(policy, variant.name),
                f"the variant {variant.name} names {', '.join(map(_title, missing))}, which the bundle lacks"
                + ("" if none_left else "; it has the others"),
                f"fit the model for it as well, or name one of: {', '.join(sorted(map(_title, artifacts))) or 'none'}",
                is_fault=none_left,
            )


def _users(policy: Policy, variant: str) -> str:
    users = [rule.name for rule in policy.rules if rule.then.use == variant]
    return ", ".join([*users, *([DEFAULT] if policy.default.use == variant else [])]) or "-"


def _title(artifact: ArtifactRef) -> str:
    where = "" if artifact.bundle == "." else f" in {artifact.bundle}"
    return f"{artifact.runtime} {artifact.precision}{where}"
