// From an image to the model's input, in buffers that are kept from frame to frame.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "pocketfit/image.hpp"
#include "pocketfit/placement.hpp"
#include "pocketfit/quantization.hpp"
#include "pocketfit/taps.hpp"

namespace pocketfit {

// One for each thread. Memory is taken for the first image of a size, and for no other of that size.
class Preprocessor {
public:
    explicit Preprocessor(Contract contract) : contract_(std::move(contract)) {
        for (int channel = 0; channel < contract_.channels(); channel++)
            for (int pixel = 0; pixel < 256; pixel++) {
                if (is_float())
                    float_table_.push_back(table_entry<float>(pixel, channel, contract_));
                else
                    byte_table_.push_back(table_entry<uint8_t>(pixel, channel, contract_));
            }
    }

    // Fills the model's input. The orientation is the one that comes with the image, 1 to 8 as EXIF counts.
    void run(const Image& image, int orientation = 1) {
        UprightRows rows(image, contract_, orientation);
        fit(rows.size());
        resize_columns(rows);
        resize_rows();
        if (is_float())
            arrange(float_table_, floats_);
        else
            arrange(byte_table_, bytes_);
    }

    // The model's input, of the contract's dtype and layout, with a batch of 1. It stays in its place for as long as
    // images of one size come.
    const void* data() const { return is_float() ? static_cast<const void*>(floats_.data()) : bytes_.data(); }
    size_t bytes() const { return is_float() ? floats_.size() * sizeof(float) : bytes_.size(); }

    // Red, green and blue as they were before the arithmetic: height x width x 3.
    const std::vector<uint8_t>& pixels() const { return canvas_; }
    const Placement& placement() const { return where_; }
    const Contract& contract() const { return contract_; }

private:
    // The resized pixels that lie inside of the input along one axis, and the input pixel of the first.
    struct Visible {
        int begin = 0;
        int end = 0;
        int at = 0;

        Visible() = default;
        Visible(int offset, int resized, int size)
            : begin(std::max(0, -offset)),
              end(std::max(begin, std::min(resized, size - offset))),
              at(std::max(0, offset)) {}
        int count() const { return end - begin; }
    };

    // The image's pixels that an axis reads.
    struct Read {
        int begin = 0;
        int end = 0;

        Read() = default;
        Read(const Taps& taps, Visible visible) {
            if (visible.count() == 0) return;
            begin = taps.first(visible.begin);
            for (int i = visible.begin; i < visible.end; i++) {
                begin = std::min(begin, taps.first(i));
                end = std::max(end, taps.first(i) + taps.count(i));
            }
        }
        int count() const { return end - begin; }
    };

    bool is_float() const { return contract_.dtype == Dtype::float32; }

    void fit(Size image) {
        if (image.height == where_.image.height && image.width == where_.image.width) return;
        Placement where = place(image, contract_);
        bool same = where.resized.height == image.height && where.resized.width == image.width;
        Kernel kernel = same ? Kernel::nearest : contract_.kernel;
        late_ = !rounds_between(kernel, contract_.antialias);
        rows_ = Taps(image.height, where.resized.height, kernel, contract_.antialias);
        columns_ = Taps(image.width, where.resized.width, kernel, contract_.antialias);
        shown_rows_ = Visible(where.top, where.resized.height, where.size.height);
        shown_columns_ = Visible(where.left, where.resized.width, where.size.width);
        read_rows_ = Read(rows_, shown_rows_);
        read_columns_ = Read(columns_, shown_columns_);
        where_ = where;
        make_buffers();
    }

    void make_buffers() {
        auto area = static_cast<size_t>(where_.size.height) * static_cast<size_t>(where_.size.width);
        auto width = static_cast<size_t>(shown_columns_.count()) * 3;
        line_.resize(static_cast<size_t>(read_columns_.count()) * 3);
        across_.resize(static_cast<size_t>(read_rows_.count()) * width);
        sums_.resize(width);
        canvas_.resize(area * 3);
        for (size_t i = 0; i < canvas_.size(); i++)
            canvas_[i] = contract_.resize == Resize::letterbox ? static_cast<uint8_t>(contract_.fill[i % 3]) : 0;
        auto numbers = area * static_cast<size_t>(contract_.channels());
        floats_.resize(is_float() ? numbers : 0);
        bytes_.resize(is_float() ? 0 : numbers);
    }

    void resize_columns(const UprightRows& rows) {
        const int width = shown_columns_.count() * 3;
        int32_t* out = across_.data();
        for (int row = read_rows_.begin; row < read_rows_.end; row++, out += width) {
            rows.read(row, read_columns_.begin, read_columns_.end, line_.data());
            weigh_line(out);
            if (!late_) round_off(out, width, columns_.bits(), out);
        }
    }

    void weigh_line(int32_t* out) const {
        for (int column = shown_columns_.begin; column < shown_columns_.end; column++, out += 3) {
            const int32_t* weight = columns_.weights(column);
            const uint8_t* pixel = line_.data() + (columns_.first(column) - read_columns_.begin) * 3;
            int32_t red = 0, green = 0, blue = 0;
            for (int k = 0, count = columns_.count(column); k < count; k++, pixel += 3) {
                red += pixel[0] * weight[k];
                green += pixel[1] * weight[k];
                blue += pixel[2] * weight[k];
            }
            out[0] = red, out[1] = green, out[2] = blue;
        }
    }

    void resize_rows() {
        const int width = shown_columns_.count() * 3, bits = rows_.bits() + (late_ ? columns_.bits() : 0);
        for (int row = shown_rows_.begin; row < shown_rows_.end; row++) {
            std::fill(sums_.begin(), sums_.end(), 0);
            const int32_t* weight = rows_.weights(row);
            for (int k = 0; k < rows_.count(row); k++) add_line(rows_.first(row) + k - read_rows_.begin, weight[k]);
            int y = shown_rows_.at + row - shown_rows_.begin;
            size_t at = (static_cast<size_t>(y) * static_cast<size_t>(where_.size.width) +
                         static_cast<size_t>(shown_columns_.at)) *
                        3;
            round_off(sums_.data(), width, bits, canvas_.data() + at);
        }
    }

    void add_line(int line, int32_t weight) {
        const int width = shown_columns_.count() * 3;
        const int32_t* values = across_.data() + static_cast<size_t>(line) * static_cast<size_t>(width);
        for (int i = 0; i < width; i++) sums_[static_cast<size_t>(i)] += values[i] * weight;
    }

    // Half a unit more, shifted with the sign, limited to a pixel.
    template <typename Number>
    static void round_off(const int32_t* sums, int count, int bits, Number* out) {
        const int32_t half = (1 << bits) >> 1;
        for (int i = 0; i < count; i++)
            out[i] = static_cast<Number>(std::min(std::max((sums[i] + half) >> bits, 0), 255));
    }

    template <typename Number>
    void arrange(const std::vector<Number>& table, std::vector<Number>& out) const {
        const size_t area = canvas_.size() / 3, channels = static_cast<size_t>(contract_.channels());
        const bool planes = contract_.layout == Layout::nchw;
        for (size_t channel = 0; channel < channels; channel++) {
            const Number* column = table.data() + channel * 256;
            Number* at = out.data() + channel * (planes ? area : 1);
            const size_t step = planes ? 1 : channels;
            const uint8_t* pixel = canvas_.data() + (contract_.color == Color::bgr ? 2 - channel : channel);
            if (contract_.color == Color::gray)
                for (size_t i = 0; i < area; i++, pixel += 3, at += step) *at = column[luma(pixel)];
            else
                for (size_t i = 0; i < area; i++, pixel += 3, at += step) *at = column[*pixel];
        }
    }

    static int luma(const uint8_t* rgb) { return (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16; }

    Contract contract_;
    std::vector<float> float_table_;
    std::vector<uint8_t> byte_table_;
    Placement where_;
    Taps rows_;
    Taps columns_;
    bool late_ = false;
    Visible shown_rows_;
    Visible shown_columns_;
    Read read_rows_;
    Read read_columns_;
    std::vector<uint8_t> line_;
    std::vector<int32_t> across_;
    std::vector<int32_t> sums_;
    std::vector<uint8_t> canvas_;
    std::vector<float> floats_;
    std::vector<uint8_t> bytes_;
};

}  // namespace pocketfit
