"""docs/policy.md names every field, sensor and kind of finding, and its example is a policy without a fault."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pocketfit.policy import Condition, Handover, Reading, policy_from_json
from pocketfit.policy.checks import Kind, check_policy
from pocketfit.policy.spec import ArtifactRef, Choice, Policy, Rule, Run, Variant

DOC = (Path(__file__).parents[2] / "docs/policy.md").read_text(encoding="utf-8")
PARTS = (ArtifactRef, Choice, Condition, Handover, Policy, Reading, Rule, Run, Variant)


@pytest.mark.parametrize("name", sorted({field.name for part in PARTS for field in dataclasses.fields(part)}))
def test_every_field_is_documented(name: str):
    assert f"`{name}`" in DOC or f'"{name}"' in DOC


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_finding_is_documented(kind: Kind):
    assert f"| `{kind}` |" in DOC


def test_the_example_is_a_policy_without_a_fault():
    policy = policy_from_json(DOC.partition("## An example")[2])
    assert [rule.name for rule in policy.rules] == ["severe", "secure", "battery-low", "late"]
    assert not [finding for finding in check_policy(policy) if finding.is_fault]
