// Which input pixels make an output pixel along one axis, and with what integer weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "pocketfit/contract.hpp"

// The weights are defined by doubles of which no product is fused with a sum. GCC does not read this and needs
// -ffp-contract=off, which the CMake target hands on.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

namespace pocketfit {

class Taps {
public:
    Taps() = default;
    Taps(int inputs, int outputs, Kernel kernel, bool antialias);

    // The pixels of an output are `first`, `first + 1` and so on.
    int first(int output) const { return first_[static_cast<size_t>(output)]; }
    int count(int output) const {
        size_t at = static_cast<size_t>(output);
        return start_[at + 1] - start_[at];
    }
    const int32_t* weights(int output) const { return weights_.data() + start_[static_cast<size_t>(output)]; }
    // A weight of 1 is 2^bits.
    int bits() const { return bits_; }

private:
    void nearest(int64_t inputs, int64_t outputs);
    void widened(int inputs, int outputs, Kernel kernel);
    void area(int64_t inputs, int64_t outputs);
    void plain(int64_t inputs, int64_t outputs, Kernel kernel);

    void begin(int64_t first) { first_.push_back(static_cast<int>(first)); }
    void add(int64_t weight) { weights_.push_back(static_cast<int32_t>(weight)); }
    void end() { start_.push_back(static_cast<int>(weights_.size())); }

    int bits_ = 0;
    std::vector<int> first_;
    std::vector<int> start_{0};
    std::vector<int32_t> weights_;
};

// Whether the columns are rounded to pixels before the rows are computed.
inline bool rounds_between(Kernel kernel, bool antialias) {
    return antialias || (kernel != Kernel::bilinear && kernel != Kernel::bicubic);
}

inline Taps::Taps(int inputs, int outputs, Kernel kernel, bool antialias) {
    if (kernel == Kernel::nearest)
        nearest(inputs, outputs);
    else if (kernel == Kernel::area)
        area(inputs, outputs);
    else if (rounds_between(kernel, antialias))
        widened(inputs, outputs, kernel);
    else
        plain(inputs, outputs, kernel);
}

inline void Taps::nearest(int64_t inputs, int64_t outputs) {
    for (int64_t i = 0; i < outputs; i++) {
        begin((2 * i + 1) * inputs / (2 * outputs));
        add(1);
        end();
    }
}

inline double shape(Kernel kernel, double x) {
    if (kernel == Kernel::box) return -0.5 < x && x <= 0.5 ? 1.0 : 0.0;
    x = std::fabs(x);
    if (kernel == Kernel::bilinear) return x < 1.0 ? 1.0 - x : 0.0;
    if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1.0;
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5 : 0.0;
}

inline void Taps::widened(int inputs, int outputs, Kernel kernel) {
    bits_ = 22;
    double reach = kernel == Kernel::box ? 0.5 : kernel == Kernel::bilinear ? 1.0 : 2.0;
    double scale = static_cast<double>(inputs) / outputs, stretch = std::max(scale, 1.0), support = reach * stretch;
    std::vector<double> shares;
    for (int i = 0; i < outputs; i++) {
        double center = (i + 0.5) * scale, total = 0.0;
        int low = std::max(0, static_cast<int>(center - support + 0.5));
        int high = std::min(inputs, static_cast<int>(center + support + 0.5));
        shares.clear();
        for (int j = low; j < high; j++) shares.push_back(shape(kernel, (j - center + 0.5) * (1.0 / stretch)));
        for (double share : shares) total += share;
        if (total == 0.0) total = 1.0;
        begin(std::min(low, inputs - 1));
        for (double share : shares) {
            double part = share / total;
            add(static_cast<int64_t>(part * 4194304.0 + (part >= 0 ? 0.5 : -0.5)));
        }
        end();
    }
}

inline void Taps::area(int64_t inputs, int64_t outputs) {
    bits_ = 22;
    for (int64_t i = 0; i < outputs; i++) {
        int64_t low = i * inputs, high = low + inputs;
        begin(low / outputs);
        for (int64_t j = low / outputs; j * outputs < high; j++) {
            int64_t covered = std::min(high, (j + 1) * outputs) - std::max(low, j * outputs);
            add((covered * 8388608 + inputs) / (2 * inputs));
        }
        end();
    }
}

inline int64_t inner(int64_t d) { return (5 * d * d * d - 18432 * d * d + 34359738368 + 8388608) >> 24; }

inline int64_t outer(int64_t d) {
    return (-3 * d * d * d + 30720 * d * d - 100663296 * d + 103079215104 + 8388608) >> 24;
}

inline void Taps::plain(int64_t inputs, int64_t outputs, Kernel kernel) {
    bits_ = 11;
    for (int64_t i = 0; i < outputs; i++) {
        int64_t position = (2 * i + 1) * inputs - outputs, unit = 2 * outputs;
        int64_t left = position < 0 ? -1 : position / unit, rest = position - left * unit;
        int64_t t = (rest * 4096 + unit) / (2 * unit);
        int64_t weight[4] = {0, 2048 - t, t, 0};
        if (kernel == Kernel::bicubic) {
            weight[0] = outer(2048 + t), weight[2] = inner(2048 - t), weight[3] = outer(4096 - t);
            weight[1] = 2048 - weight[0] - weight[2] - weight[3];
        }
        // Pixels beyond the edge are those of the edge, so their weights go there.
        int64_t low = std::clamp<int64_t>(left - 1, 0, inputs - 1), high = std::clamp<int64_t>(left + 2, 0, inputs - 1);
        begin(low);
        for (int64_t j = low; j <= high; j++) {
            int64_t sum = 0;
            for (int k = 0; k < 4; k++)
                if (std::clamp<int64_t>(left - 1 + k, 0, inputs - 1) == j) sum += weight[k];
            add(sum);
        }
        end();
    }
}

}  // namespace pocketfit
