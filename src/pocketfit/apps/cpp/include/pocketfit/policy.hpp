// What policy.json says; docs/policy.md defines it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pocketfit/json.hpp"

namespace pocketfit {

// Sensors that say a number, yes (1) or no (0), in the order of their ranges; the scene is a word.
enum class Sensor {
    battery_percent,
    charging,
    thermal_status,
    headroom_permille,
    memory_pressure,
    low_power,
    frame_us,
    scene
};

inline constexpr size_t numbers = 7;
inline constexpr std::array<std::string_view, numbers + 1> sensor_names{
    "battery_percent", "charging",  "thermal_status", "headroom_permille",
    "memory_pressure", "low_power", "frame_us",       "scene"};
inline constexpr std::array<int64_t, numbers> largest{100, 1, 6, 10000, 3, 1, 2147483647};
inline constexpr int64_t unknown = -1;

// All that is known at one frame; a number below 0 or beyond its range is unknown.
struct Reading {
    int64_t time_ms = 0;
    std::array<int64_t, numbers> values{unknown, unknown, unknown, unknown, unknown, unknown, unknown};
    std::optional<std::string_view> scene;
    int in_flight = 0;
    bool ready = true;

    void set(Sensor sensor, int64_t value) { values[static_cast<size_t>(sensor)] = value; }
};

struct Bounds {
    int64_t low = std::numeric_limits<int64_t>::min();
    int64_t high = std::numeric_limits<int64_t>::max();

    bool hold(int64_t value) const { return low <= value && value <= high; }
};

struct Condition {
    Sensor sensor = Sensor::scene;
    bool bounded = false;
    Bounds enter;
    Bounds stay;
    std::vector<std::string> any_of;
    bool unknown = false;

    bool holds(const Reading& reading, bool entered) const {
        if (sensor == Sensor::scene) {
            if (!reading.scene) return unknown;
            return std::find(any_of.begin(), any_of.end(), *reading.scene) != any_of.end();
        }
        int64_t value = reading.values[static_cast<size_t>(sensor)];
        if (value < 0 || value > largest[static_cast<size_t>(sensor)]) return unknown;
        return bounded && (entered ? stay : enter).hold(value);
    }
};

struct Choice {
    int variant = 0;
    int64_t every = 1;
    int64_t on_ms = 1;
    int64_t period_ms = 1;
    // Below 0 takes the policy's.
    int64_t dwell_ms = -1;

    bool same(const Choice& other) const {
        return variant == other.variant && every == other.every && on_ms == other.on_ms && period_ms == other.period_ms;
    }
};

struct Rule {
    std::string name;
    std::vector<Condition> when;
    Choice then;
    bool urgent = false;
};

struct ArtifactRef {
    std::string runtime;
    std::string precision;
    std::string bundle = ".";
};

struct Variant {
    std::string name;
    std::vector<ArtifactRef> artifacts;
    // Empty is the CPU.
    std::string delegate;
    // 0 leaves it to the app.
    int threads = 0;
};

struct Policy {
    std::vector<Variant> variants;
    std::vector<Rule> rules;
    Choice otherwise;
    int64_t dwell_ms = 10000;
    bool finish_pending = true;
    int64_t drain_ms = 500;
    int64_t warmup_frames = 1;
    bool reset_state = false;

    // The default stands behind the last rule.
    const Choice& choice(int rule) const {
        size_t at = static_cast<size_t>(rule);
        return at < rules.size() ? rules[at].then : otherwise;
    }
    std::string_view rule_name(int rule) const {
        size_t at = static_cast<size_t>(rule);
        return at < rules.size() ? std::string_view(rules[at].name) : std::string_view("default");
    }

    static Policy from_json(const Json& json);
};

class PolicyParser {
public:
    explicit PolicyParser(const Json& json) : json_(json) {}

    Policy parse() {
        if (!json_.has("format") || json_.at("format").string() != "pocketfit-policy")
            throw Error("the policy does not say format pocketfit-policy");
        if (json_.at("version").integer() != 1) throw Error("the policy has another version than 1");
        for (const Json& variant : json_.at("variants").items()) policy_.variants.push_back(parse_variant(variant));
        policy_.otherwise = parse_choice(json_.at("default"));
        if (json_.has("rules"))
            for (const Json& rule : json_.at("rules").items()) policy_.rules.push_back(parse_rule(rule));
        if (policy_.rules.size() > most_rules) throw Error("the policy has more than 62 rules");
        number(json_, "dwell_ms", policy_.dwell_ms);
        if (json_.has("handover")) parse_handover(json_.at("handover"));
        return std::move(policy_);
    }

private:
    static constexpr size_t most_rules = 62;

    static void number(const Json& json, std::string_view key, int64_t& value) {
        if (json.has(key)) value = json.at(key).integer();
    }

    static bool flag(const Json& json, std::string_view key) { return json.has(key) && json.at(key).boolean(); }

    static Variant parse_variant(const Json& json) {
        Variant variant;
        variant.name = json.at("name").string();
        for (const Json& one : json.at("artifacts").items()) {
            ArtifactRef artifact{one.at("runtime").string(), one.at("precision").string(), "."};
            if (one.has("bundle")) artifact.bundle = one.at("bundle").string();
            variant.artifacts.push_back(artifact);
        }
        if (json.has("delegate")) variant.delegate = json.at("delegate").string();
        if (json.has("threads")) variant.threads = static_cast<int>(json.at("threads").integer());
        return variant;
    }

    Choice parse_choice(const Json& json) const {
        Choice choice;
        choice.variant = find_variant(json.at("use").string());
        number(json, "dwell_ms", choice.dwell_ms);
        if (!json.has("run")) return choice;
        const Json& run = json.at("run");
        number(run, "every", choice.every);
        number(run, "on_ms", choice.on_ms);
        number(run, "period_ms", choice.period_ms);
        if (choice.every < 1 || choice.period_ms < 1) throw Error("run.every and run.period_ms have to be 1 or more");
        return choice;
    }

    int find_variant(const std::string& name) const {
        for (size_t i = 0; i < policy_.variants.size(); i++)
            if (policy_.variants[i].name == name) return static_cast<int>(i);
        throw Error("the policy uses the variant " + name + ", which it does not have");
    }

    Rule parse_rule(const Json& json) const {
        Rule rule;
        rule.name = json.at("name").string();
        for (const auto& [sensor, condition] : json.at("when").members())
            rule.when.push_back(parse_condition(sensor, condition));
        rule.then = parse_choice(json.at("then"));
        rule.urgent = flag(json, "urgent");
        return rule;
    }

    static Condition parse_condition(const std::string& sensor, const Json& json) {
        Condition condition;
        auto found = std::find(sensor_names.begin(), sensor_names.end(), sensor);
        if (found == sensor_names.end()) throw Error("the policy looks at " + sensor + ", which is no sensor");
        condition.sensor = static_cast<Sensor>(found - sensor_names.begin());
        condition.bounded = json.has("at_least") || json.has("at_most") || json.has("equals");
        condition.unknown = flag(json, "unknown");
        number(json, "at_least", condition.enter.low);
        number(json, "at_most", condition.enter.high);
        if (json.has("equals")) condition.enter.low = condition.enter.high = json.at("equals").boolean();
        condition.stay = condition.enter;
        number(json, "leave_below", condition.stay.low);
        number(json, "leave_above", condition.stay.high);
        if (json.has("any_of"))
            for (const Json& word : json.at("any_of").items()) condition.any_of.push_back(word.string());
        return condition;
    }

    void parse_handover(const Json& json) {
        if (json.has("pending")) policy_.finish_pending = json.at("pending").string() == "finish";
        number(json, "drain_ms", policy_.drain_ms);
        number(json, "warmup_frames", policy_.warmup_frames);
        if (json.has("state")) policy_.reset_state = json.at("state").string() == "reset";
    }

    const Json& json_;
    Policy policy_;
};

inline Policy Policy::from_json(const Json& json) { return PolicyParser(json).parse(); }

}  // namespace pocketfit
