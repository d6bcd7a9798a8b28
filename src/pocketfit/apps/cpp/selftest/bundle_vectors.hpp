// The preprocess_vectors.json of a bundle.
#pragma once

#include "pocketfit/bundle.hpp"
#include "pocketfit/preprocessor.hpp"
#include "vectors.hpp"

namespace selftest {

inline bool same_hash(const void* data, size_t bytes, const Json& expected) {
    pocketfit::Sha256 hash;
    hash.update(data, bytes);
    return hash.hex() == expected.at("sha256").string();
}

inline pocketfit::Image image_of(const std::vector<uint8_t>& bytes, int height, int width, int stride,
                                 pocketfit::Format format) {
    if (format >= pocketfit::Format::nv21)
        return pocketfit::Image::yuv(bytes.data(), bytes.size(), height, width, format, stride);
    return pocketfit::Image::pixels(bytes.data(), height, width, format);
}

inline bool replay_input(const Json& input, pocketfit::Preprocessor& preprocessor) {
    const Json& told = input.at("noise");
    std::vector<uint8_t> bytes = noise(volume(told.at("shape")), static_cast<uint32_t>(told.at("seed").integer()));
    int height = static_cast<int>(input.at("height").integer()), width = static_cast<int>(input.at("width").integer());
    preprocessor.run(image_of(bytes, height, width, 0, preprocessor.contract().input),
                     static_cast<int>(input.at("orientation").integer()));
    const auto& pixels = preprocessor.pixels();
    return same_hash(pixels.data(), pixels.size(), input.at("pixels")) &&
           same_hash(preprocessor.data(), preprocessor.bytes(), input.at("expected"));
}

// Noise brought to -4..4; to 0..1 for a detector's outputs.
inline std::vector<float> output_of(const Json& told, bool boxes) {
    std::vector<float> values;
    for (uint8_t byte : noise(volume(told.at("shape")), static_cast<uint32_t>(told.at("seed").integer())))
        values.push_back(boxes ? static_cast<float>(byte) / 255.0f : (static_cast<float>(byte) - 128.0f) / 32.0f);
    return values;
}

inline bool replay_answer(const Json& answer, pocketfit::Postprocessor& postprocessor) {
    const pocketfit::Contract& contract = postprocessor.contract();
    const auto& outputs = answer.at("outputs").items();
    const Json& expected = answer.at("expected");
    std::vector<float> first = output_of(outputs.at(0), contract.output == pocketfit::Output::boxes);
    if (contract.output == pocketfit::Output::classes)
        return same_answers(postprocessor.classes(first.data(), first.size()), expected, contract);
    if (contract.output == pocketfit::Output::embedding) {
        std::vector<double> values;
        for (const Json& value : expected.items()) values.push_back(value.number());
        return same_vector(postprocessor.embedding(first.data(), first.size()), values);
    }
    const auto& size = answer.at("image").items();
    std::vector<float> scores = output_of(outputs.at(1), true);
    pocketfit::Placement where =
        pocketfit::place({static_cast<int>(size[0].integer()), static_cast<int>(size[1].integer())}, contract);
    size_t count = first.size() / 4;
    return same_answers(postprocessor.boxes(first.data(), scores.data(), count, scores.size() / count, where), expected,
                        contract);
}

// Every file of every artifact, opened as an app does; nothing where it is encrypted and there is no key.
inline std::vector<Suite> replay_models(const pocketfit::Bundle& bundle, const std::optional<pocketfit::Key>& key) {
    Suite models{"bundle models"};
    if (bundle.is_encrypted() && !key) return {};
    for (const Json& artifact : bundle.manifest().at("artifacts").items()) {
        const std::string &runtime = artifact.at("runtime").string(), &precision = artifact.at("precision").string();
        for (const pocketfit::ModelFile& file : bundle.load(runtime, precision, key))
            models.count(!file.bytes.empty(), file.name);
    }
    return {models};
}

// Every variant of the policy has an artifact in the bundle's folder that it names.
inline std::vector<Suite> replay_policy_of(const pocketfit::Bundle& bundle) {
    Suite variants{"bundle policy"};
    if (!bundle.has("policy")) return {};
    for (const pocketfit::Variant& variant : bundle.policy().variants) {
        bool found = false;
        for (const pocketfit::ArtifactRef& one : variant.artifacts) {
            const pocketfit::Bundle& where = bundle.of(one);
            bool is_its_name = where.name().empty() || &bundle.variant(where.name()) == &where;
            found = found || (is_its_name && !where.files(one.runtime, one.precision).empty());
        }
        variants.count(found, variant.name);
    }
    return {variants};
}

// Each threshold is found by its artifact, and a gallery holds it.
inline std::vector<Suite> replay_thresholds(const pocketfit::Bundle& bundle) {
    Suite suite{"bundle thresholds"};
    if (!bundle.has("thresholds")) return {};
    Json thresholds = Json::parse(bundle.read("thresholds"));
    bool cosine = thresholds.at("score").string() == "cosine";
    for (const Json& one : thresholds.at("artifacts").items()) {
        const std::string &runtime = one.at("runtime").string(), &precision = one.at("precision").string();
        double told = one.at("threshold").number(), found = bundle.threshold(runtime, precision);
        bool same = found == told && (!cosine || bundle.gallery(runtime, precision).threshold() == told);
        suite.count(same && !bundle.files(runtime, precision).empty(), runtime + " " + precision);
    }
    return {suite};
}

inline std::vector<Suite> replay_contract(const pocketfit::Bundle& bundle) {
    Suite inputs{"bundle preprocessing"}, answers{"bundle postprocessing"};
    if (!bundle.has("preprocess_vectors")) return {};
    Json vectors = Json::parse(bundle.read("preprocess_vectors"));
    pocketfit::Preprocessor preprocessor(bundle.contract());
    pocketfit::Postprocessor postprocessor(bundle.contract());
    for (const Json& input : vectors.at("inputs").items())
        inputs.count(replay_input(input, preprocessor), "input " + std::to_string(inputs.total));
    for (const Json& answer : vectors.at("answers").items())
        answers.count(replay_answer(answer, postprocessor), "answer " + std::to_string(answers.total));
    return {inputs, answers};
}

inline std::vector<Suite> replay_variant(const pocketfit::Bundle& bundle, const std::optional<pocketfit::Key>& key) {
    std::vector<Suite> suites = replay_contract(bundle);
    for (Suite& suite : replay_models(bundle, key)) suites.push_back(suite);
    for (Suite& suite : replay_thresholds(bundle)) suites.push_back(suite);
    return suites;
}

inline std::vector<Suite> replay_bundle(const pocketfit::Bundle& bundle, const std::optional<pocketfit::Key>& key) {
    std::vector<Suite> suites = replay_variant(bundle, key);
    for (Suite& suite : replay_policy_of(bundle)) suites.push_back(suite);
    for (const pocketfit::Bundle& other : bundle.others())
        for (Suite& suite : replay_variant(other, key)) {
            suite.name += " of " + other.name();
            suites.push_back(suite);
        }
    return suites;
}

}  // namespace selftest
