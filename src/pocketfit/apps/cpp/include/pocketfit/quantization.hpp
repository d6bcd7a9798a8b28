// Between floats and the integers of a model's inputs and outputs, and the table of all 256 pixel values.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "pocketfit/contract.hpp"

namespace pocketfit {

// clip(rint(x / scale) + zero_point), halves to the even integer, the division in float32.
inline int quantize(float value, const Quantization& numbers, Dtype dtype) {
    double steps = static_cast<double>(std::nearbyint(value / static_cast<float>(numbers.scale))) + numbers.zero_point;
    bool sign = dtype == Dtype::int8;
    return static_cast<int>(std::min(std::max(steps, sign ? -128.0 : 0.0), sign ? 127.0 : 255.0));
}

// (q - zero_point) * scale in float32.
inline float dequantize(int value, const Quantization& numbers) {
    return static_cast<float>(value - numbers.zero_point) * static_cast<float>(numbers.scale);
}

// The model's number for each pixel value, before it is quantized.
inline float normalised(int pixel, int channel, const Contract& contract) {
    auto of = [channel](const std::vector<double>& values) {
        return static_cast<float>(values[values.size() == 1 ? 0 : static_cast<size_t>(channel)]);
    };
    float scaled = static_cast<float>(pixel) * static_cast<float>(contract.scale);
    return (scaled - of(contract.mean)) / of(contract.std);
}

// What stands in the model's input for a pixel value; the bits of an int8 as a uint8.
template <typename Number>
Number table_entry(int pixel, int channel, const Contract& contract);

template <>
inline float table_entry<float>(int pixel, int channel, const Contract& contract) {
    return normalised(pixel, channel, contract);
}

template <>
inline uint8_t table_entry<uint8_t>(int pixel, int channel, const Contract& contract) {
    return static_cast<uint8_t>(quantize(normalised(pixel, channel, contract), contract.quantization, contract.dtype));
}

}  // namespace pocketfit
