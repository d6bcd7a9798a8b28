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

inline pocketfit::Image image_of(const std::vector<uint8_t>& bytes, int height, int width, int stride, pocketfit::Format format) {
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
    pocketfit::Placement where = pocketfit::place({static_cast<int>(size[0].integer()), static_cast<int>(size[1].integer())}, contract);
    size_t count = first.size() / 4;
    return same_answers(postprocessor.boxes(first.data(), scores.data(), count, scores.size() / count, where), expected, contract);
}

inline std::vector<Suite> replay_bundle(const pocketfit::Bundle& bundle) {
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

}  // namespace selftest
