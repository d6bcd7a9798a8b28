// Test vectors as Pocketfit writes them, and what a suite of them came to.
#pragma once

#include <cmath>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "pocketfit/json.hpp"
#include "pocketfit/postprocessor.hpp"

namespace selftest {

using pocketfit::Json;

struct Suite {
    std::string name;
    int passed = 0;
    int total = 0;

    void count(bool good, const std::string& what) {
        total++;
        passed += good;
        if (!good) std::cerr << name << ": " << what << " differs\n";
    }
};

// The noise that docs/preprocessing.md defines.
inline std::vector<uint8_t> noise(size_t count, uint32_t seed) {
    std::vector<uint8_t> bytes(count);
    for (uint8_t& byte : bytes) {
        seed = 1664525u * seed + 1013904223u;
        byte = static_cast<uint8_t>(seed >> 24);
    }
    return bytes;
}

inline size_t volume(const Json& shape) {
    size_t count = 1;
    for (const Json& side : shape.items()) count *= static_cast<size_t>(side.integer());
    return count;
}

inline std::vector<uint8_t> from_base64(const std::string& text) {
    static const std::string signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::vector<uint8_t> bytes;
    uint32_t bits = 0;
    int known = 0;
    for (char sign : text.substr(0, text.find('='))) {
        bits = bits << 6 | static_cast<uint32_t>(signs.find(sign));
        known += 6;
        if (known < 8) continue;
        known -= 8;
        bytes.push_back(static_cast<uint8_t>(bits >> known));
    }
    return bytes;
}

// The bytes of an array, little-endian as this processor has them.
inline std::vector<uint8_t> bytes_of(const Json& array) { return from_base64(array.at("data").string()); }

template <typename Number>
std::vector<Number> numbers_of(const Json& array) {
    std::vector<uint8_t> bytes = bytes_of(array);
    std::vector<Number> numbers(bytes.size() / sizeof(Number));
    if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(Number));
    return numbers;
}

inline bool near(double one, double other) { return std::fabs(one - other) <= 2e-6 * std::fmax(1.0, std::fabs(one)); }

inline bool same_answers(const std::vector<pocketfit::Answer>& found, const Json& expected,
                         const pocketfit::Contract& contract) {
    bool same = found.size() == expected.items().size();
    for (size_t i = 0; same && i < found.size(); i++) {
        const Json& one = expected.items()[i];
        same = found[i].index == one.at("index").integer() && near(found[i].score, one.at("score").number()) &&
               contract.label(found[i].index) == one.at("label").string();
        for (size_t side = 0; same && one.has("box") && side < 4; side++)
            same = near(found[i].box[side], one.at("box").items()[side].number());
    }
    return same;
}

inline bool same_vector(const std::vector<float>& found, const std::vector<double>& expected) {
    bool same = found.size() == expected.size();
    for (size_t i = 0; same && i < found.size(); i++) same = near(found[i], expected[i]);
    return same;
}

}  // namespace selftest
