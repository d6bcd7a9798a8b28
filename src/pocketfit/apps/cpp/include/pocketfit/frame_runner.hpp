// A thread that runs a model on the latest frame of a camera.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "pocketfit/frame_scheduler.hpp"

namespace pocketfit {

// Frames are offered by one thread. Neither function may throw.
template <typename Buffer>
class FrameRunner {
public:
    // Runs the model on a buffer; its answer stays with the caller.
    using Run = std::function<void(Buffer&)>;
    // Uses the answer to the frame of that number, on the same thread; not called for what is thrown away.
    using Use = std::function<void(int64_t)>;
    using Buffers = std::array<Buffer, FrameScheduler::buffers>;

    FrameRunner(Run run, Use use, Buffers buffers, Pace pace = {})
        : run_(std::move(run)), use_(std::move(use)), buffers_(std::move(buffers)), scheduler_(pace), thread_([this] {
              work();
          }) {}
    FrameRunner(const FrameRunner&) = delete;
    FrameRunner& operator=(const FrameRunner&) = delete;

    // Waits for the frame under way and the one behind it.
    ~FrameRunner() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            closed_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

    // Tells of a frame, which fill(Buffer&) writes unless the policy leaves it out; never waits for the model.
    template <typename Fill>
    Step offer(Fill&& fill, const Decision& decision) {
        // Only this thread changes which buffer that is.
        if (decision.action == Action::infer || decision.action == Action::warm_up)
            fill(buffers_[static_cast<size_t>(scheduler_.fill())]);
        std::lock_guard<std::mutex> lock(mutex_);
        Step step = scheduler_.arrive(now_us(), decision);
        if (step.start >= 0) {
            next_ = step;
            changed_.notify_one();
        }
        return step;
    }

    int in_flight() {
        std::lock_guard<std::mutex> lock(mutex_);
        return scheduler_.in_flight();
    }

    // Time of an inference at present; 0 is unknown.
    int64_t frame_us() {
        std::lock_guard<std::mutex> lock(mutex_);
        return scheduler_.frame_us();
    }

private:
    static int64_t now_us() {
        auto now = std::chrono::steady_clock::now().time_since_epoch();
        return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    }

    void work() {
        for (Step step = taken(); step.start >= 0; step = taken())
            while (step.start >= 0) step = ran(step);
    }

    // The next frame to run; none after the last.
    Step taken() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return next_.start >= 0 || closed_; });
        return std::exchange(next_, Step{});
    }

    Step ran(const Step& step) {
        run_(buffers_[static_cast<size_t>(step.buffer)]);
        Step after;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            after = scheduler_.finish(now_us());
        }
        if (after.outcome == Outcome::use) use_(step.start);
        return after;
    }

    Run run_;
    Use use_;
    Buffers buffers_;
    FrameScheduler scheduler_;
    Step next_;
    bool closed_ = false;
    std::mutex mutex_;
    std::condition_variable changed_;
    // The last one, because it uses all the others.
    std::thread thread_;
};

}  // namespace pocketfit
