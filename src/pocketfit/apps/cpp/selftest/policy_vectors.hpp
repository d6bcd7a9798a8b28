// Policies, readings and decisions, one case a line.
#pragma once

#include <fstream>

#include "pocketfit/policy_engine.hpp"
#include "vectors.hpp"

namespace selftest {

inline pocketfit::Reading reading_of(const Json& columns, size_t frame) {
    pocketfit::Reading reading;
    auto cell = [&columns, frame](std::string_view name) -> const Json& { return columns.at(name).items()[frame]; };
    reading.time_ms = cell("time_ms").integer();
    for (size_t i = 0; i < pocketfit::numbers; i++) {
        const Json& value = cell(pocketfit::sensor_names[i]);
        auto sensor = static_cast<pocketfit::Sensor>(i);
        bool flag = sensor == pocketfit::Sensor::charging || sensor == pocketfit::Sensor::low_power;
        if (!value.is_null()) reading.set(sensor, flag ? value.boolean() : value.integer());
    }
    if (!cell("scene").is_null()) reading.scene = cell("scene").string();
    reading.in_flight = static_cast<int>(cell("in_flight").integer());
    reading.ready = cell("ready").boolean();
    return reading;
}

inline bool same_decision(const pocketfit::Decision& decision, const pocketfit::Policy& policy, const Json& columns,
                          size_t frame) {
    static constexpr const char* actions[] = {"infer", "skip", "wait", "warm_up"};
    static constexpr const char* commands[] = {"none", "drain", "swap"};
    auto cell = [&columns, frame](const char* name) -> const Json& { return columns.at(name).items()[frame]; };
    return policy.rule_name(decision.rule) == cell("rule").string() &&
           policy.variants[static_cast<size_t>(decision.variant)].name == cell("variant").string() &&
           actions[static_cast<int>(decision.action)] == cell("action").string() &&
           commands[static_cast<int>(decision.command)] == cell("command").string() &&
           decision.drop_pending == cell("drop_pending").boolean() && decision.reset == cell("reset").boolean();
}

inline bool replay_trace(const Json& test) {
    pocketfit::PolicyEngine engine(pocketfit::Policy::from_json(test.at("policy")));
    const Json &readings = test.at("readings"), &decisions = test.at("decisions");
    for (size_t frame = 0; frame < readings.at("time_ms").items().size(); frame++)
        if (!same_decision(engine.step(reading_of(readings, frame)), engine.policy(), decisions, frame)) return false;
    return true;
}

inline Suite replay_policy(const std::string& path) {
    Suite suite{"policy"};
    std::ifstream file(path);
    if (!file) throw pocketfit::Error(path + " cannot be read");
    for (std::string line; std::getline(file, line);) {
        Json test = Json::parse(line);
        suite.count(replay_trace(test), test.at("name").string());
    }
    return suite;
}

}  // namespace selftest
