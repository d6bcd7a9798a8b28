// Decides, frame by frame, which variant runs and whether the frame is inferred; nothing is allocated.
#pragma once

#include <cstdint>
#include <utility>

#include "pocketfit/policy.hpp"

namespace pocketfit {

enum class Action { infer, skip, wait, warm_up };
enum class Command { none, drain, swap };

struct Decision {
    // Indices into the policy; the number of rules stands for the default.
    int rule = 0;
    int variant = 0;
    Action action = Action::wait;
    Command command = Command::none;
    bool drop_pending = false;
    bool reset = false;
};

class PolicyEngine {
public:
    explicit PolicyEngine(Policy policy) : policy_(std::move(policy)) {}

    // Decides for one frame; docs/policy.md numbers the steps.
    Decision step(const Reading& reading) {
        now_ = std::max(now_, reading.time_ms);
        latch(reading);
        int wanted = first_latched();
        if (phase_ == Phase::steady && wanted != rule_ && may_leave(wanted)) return choose(wanted, reading);
        return go_on(reading);
    }

    const Policy& policy() const { return policy_; }

private:
    enum class Phase { steady, draining, loading, warming };

    void latch(const Reading& reading) {
        uint64_t bits = 0;
        for (size_t i = 0; i < policy_.rules.size(); i++) {
            bool entered = (latched_ >> i & 1) != 0, held = true;
            for (const Condition& condition : policy_.rules[i].when) held = held && condition.holds(reading, entered);
            bits |= static_cast<uint64_t>(held) << i;
        }
        latched_ = bits;
    }

    int first_latched() const {
        int rule = 0, count = static_cast<int>(policy_.rules.size());
        while (rule < count && (latched_ >> rule & 1) == 0) rule++;
        return rule;
    }

    bool same(int wanted) const { return rule_ >= 0 && policy_.choice(rule_).same(policy_.choice(wanted)); }

    bool may_leave(int wanted) const {
        if (rule_ < 0 || same(wanted)) return true;
        size_t at = static_cast<size_t>(wanted);
        if (at < policy_.rules.size() && policy_.rules[at].urgent) return true;
        int64_t own = policy_.choice(rule_).dwell_ms;
        return now_ - since_ >= (own < 0 ? policy_.dwell_ms : own);
    }

    Decision choose(int wanted, const Reading& reading) {
        bool nothing_changes = same(wanted);
        rule_ = wanted;
        if (nothing_changes) return go_on(reading);
        since_ = anchor_ = now_;
        frames_ = 0;
        if (variant_ == policy_.choice(rule_).variant) return go_on(reading);
        if (variant_ >= 0 && reading.in_flight > 0 && policy_.finish_pending) {
            phase_ = Phase::draining;
            return decide(Action::wait, Command::drain);
        }
        return swap(reading);
    }

    Decision go_on(const Reading& reading) {
        if (phase_ == Phase::draining) {
            if (reading.in_flight > 0 && now_ - since_ < policy_.drain_ms) return decide(Action::wait);
            return swap(reading);
        }
        if (phase_ == Phase::loading) {
            if (!reading.ready) return decide(Action::wait);
            phase_ = Phase::warming;
            warm_ups_ = policy_.warmup_frames;
        }
        if (phase_ == Phase::warming) {
            if (warm_ups_-- > 0) return decide(Action::warm_up);
            phase_ = Phase::steady;
            anchor_ = now_;
            frames_ = 0;
        }
        return decide_by_duty();
    }

    Decision swap(const Reading& reading) {
        Decision decision = decide(Action::wait, Command::swap);
        decision.drop_pending = variant_ >= 0 && reading.in_flight > 0;
        decision.reset = policy_.reset_state;
        phase_ = Phase::loading;
        decision.variant = variant_ = policy_.choice(rule_).variant;
        return decision;
    }

    Decision decide_by_duty() {
        const Choice& choice = policy_.choice(rule_);
        if ((now_ - anchor_) % choice.period_ms >= choice.on_ms) return decide(Action::skip);
        Action action = frames_ == 0 ? Action::infer : Action::skip;
        frames_ = (frames_ + 1) % choice.every;
        return decide(action);
    }

    Decision decide(Action action, Command command = Command::none) const {
        return {rule_, variant_, action, command, false, false};
    }

    Policy policy_;
    int64_t now_ = 0;
    int64_t since_ = 0;
    int64_t anchor_ = 0;
    uint64_t latched_ = 0;
    int rule_ = -1;
    int variant_ = -1;
    Phase phase_ = Phase::steady;
    int64_t warm_ups_ = 0;
    int64_t frames_ = 0;
};

}  // namespace pocketfit
