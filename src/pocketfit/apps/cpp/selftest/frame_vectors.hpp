// Simulated cameras, one case a line, and a camera on a thread of its own.
#pragma once

#include <fstream>

#include "pocketfit/frame_runner.hpp"
#include "vectors.hpp"

namespace selftest {

inline pocketfit::Decision decision_of(const Json& columns, size_t event) {
    static const std::string actions[] = {"infer", "skip", "wait", "warm_up"}, commands[] = {"none", "drain", "swap"};
    auto cell = [&columns, event](const char* name) -> const Json& { return columns.at(name).items()[event]; };
    pocketfit::Decision decision;
    decision.action =
        static_cast<pocketfit::Action>(std::find(actions, actions + 4, cell("action").string()) - actions);
    decision.command =
        static_cast<pocketfit::Command>(std::find(commands, commands + 3, cell("command").string()) - commands);
    decision.drop_pending = cell("drop_pending").boolean();
    return decision;
}

inline bool same_step(const pocketfit::Step& step, const Json& columns, size_t event) {
    static constexpr const char* outcomes[] = {"start", "keep", "skip", "early", "use", "warm_up", "discard"};
    auto cell = [&columns, event](const char* name) -> const Json& { return columns.at(name).items()[event]; };
    return outcomes[static_cast<int>(step.outcome)] == cell("outcome").string() &&
           step.start == cell("start").integer() && step.buffer == cell("buffer").integer() &&
           step.warm_up == cell("warm_up").boolean() && step.displaced == cell("displaced").integer() &&
           step.late == cell("late").boolean() && step.fill == cell("fill").integer();
}

inline bool replay_camera(const Json& test) {
    const Json &pace = test.at("pace"), &events = test.at("events"), &steps = test.at("steps");
    pocketfit::FrameScheduler scheduler(
        {pace.at("interval_us").integer(), pace.at("budget_us").integer(), pace.at("stale_us").integer()});
    for (size_t i = 0; i < events.at("time_us").items().size(); i++) {
        int64_t time = events.at("time_us").items()[i].integer();
        bool ended = events.at("action").items()[i].is_null();
        pocketfit::Step step = ended ? scheduler.finish(time) : scheduler.arrive(time, decision_of(events, i));
        if (!same_step(step, steps, i) || scheduler.frame_us() != test.at("frame_us").items()[i].integer())
            return false;
    }
    return true;
}

// Every frame is run whole, at most once and in order, the last one too; nothing depends on how fast the threads are.
inline bool run_camera() {
    constexpr int64_t frames = 2'000;
    std::vector<int64_t> used;
    int64_t displaced = 0, content = -1;
    bool good = true;
    {
        auto run = [&good, &content](std::vector<int64_t>& buffer) {
            content = buffer.front();
            for (int64_t value : buffer) good = good && value == content;
        };
        auto use = [&used, &good, &content](int64_t frame) {
            good = good && content == frame && (used.empty() || used.back() < frame);
            used.push_back(frame);
        };
        std::vector<int64_t> empty(4'096);
        pocketfit::FrameRunner<std::vector<int64_t>> runner(run, use, {empty, empty, empty}, {0, 0, INT32_MAX});
        pocketfit::Decision infer;
        infer.action = pocketfit::Action::infer;
        for (int64_t frame = 0; frame < frames; frame++) {
            auto fill = [frame](std::vector<int64_t>& buffer) { std::fill(buffer.begin(), buffer.end(), frame); };
            displaced += runner.offer(fill, infer).displaced >= 0;
        }
    }
    return good && used.back() == frames - 1 && static_cast<int64_t>(used.size()) + displaced == frames;
}

inline bool about_frames(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    return std::getline(file, line) && Json::parse(line).has("pace");
}

inline std::vector<Suite> replay_frames(const std::string& path) {
    Suite suite{"frames"}, threads{"frame threads"};
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        Json test = Json::parse(line);
        suite.count(replay_camera(test), test.at("name").string());
    }
    threads.count(run_camera(), "the simulated camera");
    return {suite, threads};
}

}  // namespace selftest
