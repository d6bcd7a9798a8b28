"""The reference engine: a pure function from state and reading to the next state and a decision.

docs/policy.md says the same in words, step by step; engines in other languages follow it and replay the vectors. All
numbers are whole, so that all engines decide alike, bit for bit.
"""

from __future__ import annotations

from dataclasses import replace

from pocketfit.policy.sensors import Reading
from pocketfit.policy.spec import Pending, Policy, Rule
from pocketfit.policy.state import Action, Command, Decision, Phase, State

__all__ = ["latch", "step", "wanted_rule"]


def step(policy: Policy, state: State, reading: Reading) -> tuple[State, Decision]:
    """Decide for one frame.

    Args:
        policy: that is followed.
        state: after the frame before; `State()` at the first.
        reading: at this frame.

    Returns:
        The state for the next frame, and what to do with this one.
    """
    latched = latch(policy, state.latched, reading)
    state = replace(state, now_ms=max(state.now_ms, reading.time_ms), latched=latched)
    wanted = wanted_rule(policy, latched)
    if state.phase is Phase.STEADY and wanted != state.rule and _may_leave(policy, state, wanted):
        return _choose(policy, state, wanted, reading)
    return _go_on(policy, state, reading)


def latch(policy: Policy, latched: int, reading: Reading) -> int:
    """Which rules hold: bit i is rule i. A rule that held is asked for its thresholds to leave, others to enter."""
    bits = 0
    for index, rule in enumerate(policy.rules):
        if _holds(rule, reading, entered=bool(latched >> index & 1)):
            bits |= 1 << index
    return bits


def wanted_rule(policy: Policy, latched: int) -> int:
    """Index of the first rule that holds; the number of rules when none does."""
    lowest_bit = latched & -latched
    return lowest_bit.bit_length() - 1 if latched else len(policy.rules)


def _holds(rule: Rule, reading: Reading, *, entered: bool) -> bool:
    return all(condition.holds(reading.value(sensor), entered=entered) for sensor, condition in rule.when.items())


def _may_leave(policy: Policy, state: State, wanted: int) -> bool:
    if state.rule < 0 or _same(policy, state.rule, wanted):
        return True
    if wanted < len(policy.rules) and policy.rules[wanted].urgent:
        return True
    own = policy.choice(state.rule).dwell_ms
    return state.now_ms - state.since_ms >= (policy.dwell_ms if own is None else own)


def _same(policy: Policy, one: int, other: int) -> bool:
    return (policy.choice(one).use, policy.choice(one).run) == (policy.choice(other).use, policy.choice(other).run)


def _choose(policy: Policy, state: State, wanted: int, reading: Reading) -> tuple[State, Decision]:
    """Follow another rule; what it takes depends on whether another variant has to take over."""
    if state.rule >= 0 and _same(policy, state.rule, wanted):
        return _go_on(policy, replace(state, rule=wanted), reading)
    state = replace(state, rule=wanted, since_ms=state.now_ms, anchor_ms=state.now_ms, frames=0)
    if state.variant == _target(policy, state):
        return _go_on(policy, state, reading)
    if state.variant >= 0 and reading.in_flight > 0 and policy.handover.pending is Pending.FINISH:
        state = replace(state, phase=Phase.DRAINING)
        return state, _decision(policy, state, Action.WAIT, Command.DRAIN)
    return _swap(policy, state, reading)


def _go_on(policy: Policy, state: State, reading: Reading) -> tuple[State, Decision]:
    """Carry on with the rule that is followed, in whatever phase its hand-over is."""
    if state.phase is Phase.DRAINING:
        if reading.in_flight > 0 and state.now_ms - state.since_ms < policy.handover.drain_ms:
            return state, _decision(policy, state, Action.WAIT)
        return _swap(policy, state, reading)
    if state.phase is Phase.LOADING:
        if not reading.ready:
            return state, _decision(policy, state, Action.WAIT)
        state = replace(state, phase=Phase.WARMING, warm_ups=policy.handover.warmup_frames)
    if state.phase is Phase.WARMING:
        if state.warm_ups > 0:
            state = replace(state, warm_ups=state.warm_ups - 1)
            return state, _decision(policy, state, Action.WARM_UP)
        state = replace(state, phase=Phase.STEADY, anchor_ms=state.now_ms, frames=0)
    return _duty(policy, state)


def _swap(policy: Policy, state: State, reading: Reading) -> tuple[State, Decision]:
    drop = state.variant >= 0 and reading.in_flight > 0
    state = replace(state, phase=Phase.LOADING, variant=_target(policy, state))
    reset = policy.handover.state == "reset"
    return state, _decision(policy, state, Action.WAIT, Command.SWAP, drop_pending=drop, reset=reset)


def _duty(policy: Policy, state: State) -> tuple[State, Decision]:
    run = policy.choice(state.rule).run
    if (state.now_ms - state.anchor_ms) % run.period_ms >= run.on_ms:
        return state, _decision(policy, state, Action.SKIP)
    action = Action.INFER if state.frames == 0 else Action.SKIP
    state = replace(state, frames=(state.frames + 1) % run.every)
    return state, _decision(policy, state, action)


def _target(policy: Policy, state: State) -> int:
    name = policy.choice(state.rule).use
    return next(index for index, variant in enumerate(policy.variants) if variant.name == name)


def _decision(
    policy: Policy,
    state: State,
    action: Action,
    command: Command = Command.NONE,
    *,
    drop_pending: bool = False,
    reset: bool = False,
) -> Decision:
    variant = policy.variants[state.variant].name
    return Decision(policy.name(state.rule), variant, action, command, drop_pending, reset)
