// Which camera frames a model runs: drop, do not queue; the latest frame wins. Nothing is allocated.
#pragma once

#include <algorithm>
#include <cstdint>

#include "pocketfit/policy_engine.hpp"

namespace pocketfit {

// In microseconds; docs/frames.md tells what they do.
struct Pace {
    int64_t interval_us = 16'666;
    int64_t budget_us = 16'666;
    int64_t stale_us = 49'998;
};

enum class Outcome { start, keep, skip, early, use, warm_up, discard };

struct Step {
    Outcome outcome = Outcome::skip;
    // The frame to run now and the buffer that holds it; -1 for none.
    int64_t start = -1;
    int buffer = -1;
    bool warm_up = false;
    // A waiting frame that is dropped; -1 for none.
    int64_t displaced = -1;
    bool late = false;
    // The buffer for the camera's next frame.
    int fill = 0;
};

class FrameScheduler {
public:
    static constexpr int buffers = 3;

    explicit FrameScheduler(Pace pace = {}) : pace_(pace) {}

    // A frame came, in the buffer fill(); docs/frames.md numbers the steps.
    Step arrive(int64_t now_us, const Decision& decision) {
        now_ = std::max(now_, now_us);
        Held held{seen_++, now_, fill_};
        Step step;
        step.displaced = obey(decision);
        step.fill = fill_;
        if (decision.action != Action::infer && decision.action != Action::warm_up) return step;
        step.outcome = Outcome::early;
        if (2 * (due_ - now_) > pace_.interval_us) return step;
        due_ = std::max(due_, now_) + pace_.interval_us;
        step.fill = fill_ = free_buffer(held.buffer, running_.buffer);
        if (running_.frame < 0) {
            step.outcome = Outcome::start;
            start(held, step);
            return step;
        }
        step.outcome = Outcome::keep;
        step.displaced = waiting_.frame;
        waiting_ = held;
        return step;
    }

    // The model has answered.
    Step finish(int64_t now_us) {
        if (running_.frame < 0) throw Error("no frame is run, so none can be finished");
        now_ = std::max(now_, now_us);
        Held done = running_, next = waiting_;
        running_ = waiting_ = Held{};
        Step step;
        step.fill = fill_;
        step.outcome = done.discard ? Outcome::discard : done.warm_up ? Outcome::warm_up : Outcome::use;
        step.late = now_ - done.arrived > pace_.budget_us;
        if (step.outcome == Outcome::use) time(std::min<int64_t>(now_ - done.since, INT32_MAX));
        if (next.frame >= 0 && now_ - next.arrived > pace_.stale_us)
            step.displaced = next.frame;
        else if (next.frame >= 0)
            start(next, step);
        return step;
    }

    // For the policy's reading.
    int in_flight() const { return running_.frame >= 0; }
    // The same; 0 is unknown.
    int64_t frame_us() const { return frame_us_; }
    // The buffer that the camera writes the next frame to.
    int fill() const { return fill_; }

private:
    struct Held {
        int64_t frame = -1;
        int64_t arrived = 0;
        int buffer = -1;
        int64_t since = 0;
        bool warm_up = false;
        bool discard = false;
    };

    int64_t obey(const Decision& decision) {
        if (decision.action == Action::warm_up) owed_++;
        if (decision.command == Command::swap) {
            owed_ = 0;
            fresh_ = true;
        }
        if (decision.drop_pending) running_.discard = true;
        if (decision.action != Action::wait) return -1;
        int64_t flushed = waiting_.frame;
        waiting_ = Held{};
        return flushed;
    }

    void start(Held held, Step& step) {
        held.since = now_;
        held.warm_up = owed_ > 0;
        owed_ -= held.warm_up;
        running_ = held;
        step.start = held.frame;
        step.buffer = held.buffer;
        step.warm_up = held.warm_up;
    }

    // A moving average over about eight answers, which a new variant begins anew.
    void time(int64_t took) {
        frame_us_ = fresh_ ? took : (7 * frame_us_ + took) / 8;
        fresh_ = false;
    }

    static int free_buffer(int came, int running) {
        int buffer = 0;
        while (buffer == came || buffer == running) buffer++;
        return buffer;
    }

    Pace pace_;
    int64_t now_ = 0;
    int64_t due_ = 0;
    int64_t seen_ = 0;
    Held running_;
    Held waiting_;
    int64_t owed_ = 0;
    int64_t frame_us_ = 0;
    bool fresh_ = true;
    int fill_ = 0;
};

}  // namespace pocketfit
