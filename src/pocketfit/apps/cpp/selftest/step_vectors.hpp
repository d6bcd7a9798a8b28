// The files of `write_vectors`, one for each step of the contract.
#pragma once

#include "bundle_vectors.hpp"
#include "integrity_vectors.hpp"

namespace selftest {

inline int integer(const Json& json, const char* key) { return static_cast<int>(json.at(key).integer()); }

template <typename Number>
bool same_bytes(const std::vector<Number>& found, const Json& expected) {
    std::vector<Number> values = numbers_of<Number>(expected);
    return found.size() == values.size() &&
           std::memcmp(found.data(), values.data(), found.size() * sizeof(Number)) == 0;
}

// What a contract without arithmetic makes of the pixels.
inline bool same_pixels(const pocketfit::Contract& contract, const pocketfit::Image& image, int orientation,
                        const Json& expected) {
    pocketfit::Preprocessor preprocessor(contract);
    preprocessor.run(image, orientation);
    return same_bytes(preprocessor.pixels(), expected);
}

inline bool replay_yuv(const Json& test) {
    pocketfit::Contract contract;
    pocketfit::read_input(test, contract);
    std::vector<uint8_t> buffer = bytes_of(test.at("buffer"));
    int stride = test.has("row_stride") ? integer(test, "row_stride") : 0;
    return same_pixels(contract,
                       image_of(buffer, integer(test, "height"), integer(test, "width"), stride, contract.input), 1,
                       test.at("expected"));
}

inline bool replay_orientation(const Json& test) {
    std::vector<uint8_t> pixels = bytes_of(test.at("image"));
    const auto& shape = test.at("image").at("shape").items();
    pocketfit::Contract contract;
    auto image =
        image_of(pixels, static_cast<int>(shape[0].integer()), static_cast<int>(shape[1].integer()), 0, contract.input);
    return same_pixels(contract, image, integer(test, "orientation"), test.at("expected"));
}

inline bool replay_resize(const Json& test) {
    std::vector<uint8_t> pixels = bytes_of(test.at("image"));
    const auto& shape = test.at("image").at("shape").items();
    pocketfit::Contract contract;
    pocketfit::Fields fields(test);
    contract.resize = pocketfit::Resize::exact;
    fields.size("size", contract.resize_size);
    fields.word("kernel", contract.kernel, {"nearest", "bilinear", "bicubic", "box", "area"});
    fields.flag("antialias", contract.antialias);
    auto image =
        image_of(pixels, static_cast<int>(shape[0].integer()), static_cast<int>(shape[1].integer()), 0, contract.input);
    return same_pixels(contract, image, 1, test.at("expected"));
}

inline bool replay_geometry(const Json& test) {
    const auto& size = test.at("image").items();
    pocketfit::Placement where =
        pocketfit::place({static_cast<int>(size[0].integer()), static_cast<int>(size[1].integer())},
                         pocketfit::Contract::from_json(test.at("contract")));
    const Json& expected = test.at("expected");
    auto same = [&expected](const char* key, int vertical, int horizontal) {
        const auto& pair = expected.at(key).items();
        return pair[0].integer() == vertical && pair[1].integer() == horizontal;
    };
    return same("image", where.image.height, where.image.width) &&
           same("resized", where.resized.height, where.resized.width) &&
           same("size", where.size.height, where.size.width) && same("offset", where.top, where.left);
}

inline bool replay_luma(const Json& test) {
    std::vector<uint8_t> pixels = bytes_of(test.at("image"));
    const auto& shape = test.at("image").at("shape").items();
    pocketfit::Contract contract;
    contract.color = pocketfit::Color::gray;
    contract.scale = 1;
    contract.dtype = pocketfit::Dtype::uint8;
    pocketfit::Preprocessor preprocessor(contract);
    preprocessor.run(image_of(pixels, static_cast<int>(shape[0].integer()), static_cast<int>(shape[1].integer()), 0,
                              contract.input));
    std::vector<uint8_t> expected = bytes_of(test.at("expected"));
    return preprocessor.bytes() == expected.size() &&
           std::memcmp(preprocessor.data(), expected.data(), expected.size()) == 0;
}

template <typename Number>
std::vector<Number> table_of(const pocketfit::Contract& contract) {
    std::vector<Number> table;
    for (int channel = 0; channel < contract.channels(); channel++)
        for (int pixel = 0; pixel < 256; pixel++)
            table.push_back(pocketfit::table_entry<Number>(pixel, channel, contract));
    return table;
}

inline bool replay_table(const Json& test) {
    pocketfit::Contract contract = pocketfit::Contract::from_json(test.at("contract"));
    return contract.dtype == pocketfit::Dtype::float32 ? same_bytes(table_of<float>(contract), test.at("expected"))
                                                       : same_bytes(table_of<uint8_t>(contract), test.at("expected"));
}

inline bool replay_quantization(const Json& test) {
    pocketfit::Contract contract;
    pocketfit::Fields fields(test);
    fields.word("dtype", contract.dtype, {"float32", "uint8", "int8"});
    fields.number("scale", contract.quantization.scale);
    fields.number("zero_point", contract.quantization.zero_point);
    std::vector<uint8_t> integers;
    std::vector<float> back;
    for (float value : numbers_of<float>(test.at("values"))) {
        int integer = pocketfit::quantize(value, contract.quantization, contract.dtype);
        integers.push_back(static_cast<uint8_t>(integer));
        back.push_back(pocketfit::dequantize(integer, contract.quantization));
    }
    return same_bytes(integers, test.at("quantized")) && same_bytes(back, test.at("dequantized"));
}

inline bool replay_whole(const Json& test) {
    pocketfit::Preprocessor preprocessor(pocketfit::Contract::from_json(test.at("contract")));
    const Json& image = test.at("image");
    bool yuv = preprocessor.contract().is_yuv();
    std::vector<uint8_t> bytes = bytes_of(yuv ? image.at("buffer") : image);
    int height = yuv ? integer(image, "height") : static_cast<int>(image.at("shape").items()[0].integer());
    int width = yuv ? integer(image, "width") : static_cast<int>(image.at("shape").items()[1].integer());
    preprocessor.run(image_of(bytes, height, width, 0, preprocessor.contract().input), integer(test, "orientation"));
    std::vector<uint8_t> expected = bytes_of(test.at("expected"));
    return preprocessor.bytes() == expected.size() &&
           std::memcmp(preprocessor.data(), expected.data(), expected.size()) == 0;
}

inline bool replay_answers(const Json& test) {
    pocketfit::Postprocessor postprocessor(pocketfit::Contract::from_json(test.at("contract")));
    const pocketfit::Contract& contract = postprocessor.contract();
    const auto& outputs = test.at("outputs").items();
    const Json& expected = test.at("expected");
    std::vector<float> first = numbers_of<float>(outputs.at(0));
    if (contract.output == pocketfit::Output::classes)
        return same_answers(postprocessor.classes(first.data(), first.size()), expected, contract);
    if (contract.output == pocketfit::Output::embedding) {
        std::vector<float> vector = numbers_of<float>(expected);
        return same_vector(postprocessor.embedding(first.data(), first.size()), {vector.begin(), vector.end()});
    }
    const auto& size = test.at("image").items();
    std::vector<float> scores = numbers_of<float>(outputs.at(1));
    pocketfit::Placement where =
        pocketfit::place({static_cast<int>(size[0].integer()), static_cast<int>(size[1].integer())}, contract);
    size_t count = first.size() / 4;
    return same_answers(postprocessor.boxes(first.data(), scores.data(), count, scores.size() / count, where), expected,
                        contract);
}

inline Suite replay_step(const Json& file) {
    struct Step {
        const char* name;
        bool (*replay)(const Json&);
    };
    static constexpr Step steps[] = {{"yuv", replay_yuv},         {"orientation", replay_orientation},
                                     {"resize", replay_resize},   {"geometry", replay_geometry},
                                     {"luma", replay_luma},       {"tables", replay_table},
                                     {"whole", replay_whole},     {"quantization", replay_quantization},
                                     {"answers", replay_answers}, {"ed25519", replay_ed25519},
                                     {"aes_gcm", replay_aes_gcm}};
    for (const Step& step : steps) {
        if (step.name != file.at("step").string()) continue;
        Suite suite{step.name};
        for (const Json& test : file.at("cases").items())
            suite.count(step.replay(test), "case " + std::to_string(suite.total));
        return suite;
    }
    throw pocketfit::Error("the step " + file.at("step").string() + " is not known");
}

}  // namespace selftest
