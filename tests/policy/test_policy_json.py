"""`policy.json`: what is read is what was written, and what is refused is explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pocketfit.errors import InputError, OutputError
from pocketfit.policy import ArtifactRef, default_policy, policy_from_json, policy_to_json, read_policy, write_policy
from pocketfit.types import Precision


@pytest.fixture
def data() -> dict[str, Any]:
    return json.loads(policy_to_json(default_policy()))


def test_the_default_policy_comes_back(tmp_path: Path):
    write_policy(default_policy(), tmp_path / "policy.json")
    assert read_policy(tmp_path / "policy.json") == default_policy()


def test_the_default_policy_takes_the_best_of_each_runtime():
    artifacts = [ArtifactRef("litert", Precision.INT8), ArtifactRef("litert", Precision.FLOAT32)]
    policy = default_policy([*artifacts, ArtifactRef("ncnn", Precision.INT8)])
    full, fast, _ = policy.variants
    assert [(one.runtime, one.precision) for one in full.artifacts] == [("litert", "float32"), ("ncnn", "int8")]
    assert [(one.runtime, one.precision) for one in fast.artifacts] == [("litert", "int8"), ("ncnn", "int8")]


def test_a_bundle_without_artifacts_has_no_policy():
    with pytest.raises(InputError, match="no artifact"):
        default_policy([])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "other"}, "pocketfit-policy"),
        ({"version": 2}, "version 2"),
        ({"colour": 1}, "colour"),
        ({"dwell_ms": "10"}, "dwell_ms"),
        ({"dwell_ms": -1}, "dwell_ms is -1"),
        ({"dwell_ms": True}, "dwell_ms"),
        ({"default": {"use": "huge"}}, "'huge'; there are full, fast, lite"),
        ({"default": {"use": "full", "run": {"every": 0}}}, "run.every is 0"),
        ({"default": {"use": "full", "run": {"on_ms": 5, "period_ms": 4}}}, "run.on_ms"),
        ({"default": {"use": "full", "settles": {"scene": 1}}}, "scene"),
        ({"variants": [{"name": "full", "artifacts": []}]}, "at least one artifact"),
        (
            {"variants": [{"name": "full", "artifacts": [{"runtime": "x", "precision": "int8", "bundle": "../y"}]}]},
            "leads",
        ),
        ({"handover": {"pending": "keep"}}, "handover.pending"),
    ],
)
def test_what_is_not_allowed_is_named(data: dict[str, Any], change: dict[str, Any], told: str):
    with pytest.raises(InputError, match=told):
        policy_from_json(json.dumps(data | change))


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({}, "no condition"),
        ({"battery_percent": {}}, "empty"),
        ({"battery_percent": {"leave_above": 20}}, "no at_most"),
        ({"battery_percent": {"equals": True}}, "battery_percent has equals"),
        ({"charging": {"at_least": 1}}, "charging has at_least"),
        ({"scene": {"equals": True}}, "takes any_of"),
        ({"temperature": {"at_least": 1}}, "temperature"),
        ({"battery_percent": {"at_most": 20.5}}, "at_most"),
    ],
)
def test_a_condition_that_is_not_allowed_is_named(data: dict[str, Any], when: dict[str, Any], told: str):
    rule = {"name": "mine", "when": when, "then": {"use": "full"}}
    with pytest.raises(InputError, match=told):
        policy_from_json(json.dumps(data | {"rules": [rule]}))


def test_names_are_unique(data: dict[str, Any]):
    with pytest.raises(InputError, match="two rules"):
        policy_from_json(json.dumps(data | {"rules": data["rules"][:1] * 2}))
    data["rules"][0]["name"] = "default"
    with pytest.raises(InputError, match="name of its own"):
        policy_from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 5000, '{"format": "pocketfit-policy"}'])
def test_what_is_no_policy_is_refused(text: str):
    with pytest.raises(InputError):
        policy_from_json(text)


def test_a_file_that_is_not_there_and_a_folder_that_is_not(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        read_policy(tmp_path / "none.json")
    with pytest.raises(OutputError, match="cannot be written"):
        write_policy(default_policy(), tmp_path / "none" / "policy.json")
