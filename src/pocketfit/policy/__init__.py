"""Which variant of a model runs when: rules over battery, heat, memory and scene, and the engine that follows them."""

from pocketfit.policy.condition import Condition
from pocketfit.policy.default import default_policy
from pocketfit.policy.engine import step
from pocketfit.policy.json_form import policy_from_json, policy_to_json, read_policy, write_policy
from pocketfit.policy.sensors import Reading, Sensor
from pocketfit.policy.spec import ArtifactRef, Choice, Handover, Pending, Policy, Rule, Run, Variant
from pocketfit.policy.state import Action, Command, Decision, Phase, State

__all__ = [
    "Action",
    "ArtifactRef",
    "Choice",
    "Command",
    "Condition",
    "Decision",
    "Handover",
    "Pending",
    "Phase",
    "Policy",
    "Reading",
    "Rule",
    "Run",
    "Sensor",
    "State",
    "Variant",
    "default_policy",
    "policy_from_json",
    "policy_to_json",
    "read_policy",
    "step",
    "write_policy",
]
