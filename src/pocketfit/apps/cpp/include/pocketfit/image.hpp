// What an app has in memory, read row by row as upright RGB.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "pocketfit/contract.hpp"

namespace pocketfit {

// The sample at (row, column) is data[row * row_stride + column * pixel_stride].
struct Plane {
    const uint8_t* data = nullptr;
    size_t bytes = 0;
    int row_stride = 0;
    int pixel_stride = 1;
};

// Decoded pixels are one plane; a camera image is three. The memory stays the app's own.
struct Image {
    int height = 0;
    int width = 0;
    Plane y;
    Plane u;
    Plane v;

    // Pixels without padding: the format is rgb, rgba or gray.
    static Image pixels(const uint8_t* data, int height, int width, Format format) {
        int channels = format == Format::gray ? 1 : format == Format::rgb ? 3 : 4;
        size_t bytes = static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(channels);
        return {height, width, {data, bytes, width * channels, channels}, {}, {}};
    }

    // Planes behind each other in one buffer; a row stride of 0 is that of rows without padding.
    static Image yuv(const uint8_t* data, size_t bytes, int height, int width, Format format, int row_stride = 0) {
        int luma = row_stride == 0 ? width : row_stride, half = (luma + 1) / 2;
        size_t area = static_cast<size_t>(luma) * static_cast<size_t>(height);
        if (bytes <= area) throw Error("the buffer is too short for its planes; check the size and the stride");
        Image image{height, width, {data, bytes, luma, 1}, {}, {}};
        if (format == Format::i420) {
            size_t quarter = static_cast<size_t>(half) * static_cast<size_t>((height + 1) / 2);
            if (bytes <= area + quarter) throw Error("the buffer is too short for its planes; check the size");
            image.u = {data + area, bytes - area, half, 1};
            image.v = {data + area + quarter, bytes - area - quarter, half, 1};
            return image;
        }
        int chroma = row_stride == 0 ? 2 * half : row_stride;
        Plane first{data + area, bytes - area, chroma, 2}, second{data + area + 1, bytes - area - 1, chroma, 2};
        image.u = format == Format::nv12 ? first : second;
        image.v = format == Format::nv12 ? second : first;
        return image;
    }
};

// Gives any row of an image as it stands upright.
class UprightRows {
public:
    // Checks that the planes are as long as the image says.
    UprightRows(const Image& image, const Contract& contract, int orientation) : image_(image), contract_(contract) {
        int turn = contract.orientation != 0 ? contract.orientation : orientation;
        if (turn < 1 || turn > 8) throw Error("the orientation has to be 1 to 8, as EXIF counts");
        if (image.height < 1 || image.width < 1) throw Error("the image is empty");
        swapped_ = turn >= 5;
        rows_reversed_ = turn == 3 || turn == 4 || turn == 7 || turn == 8;
        columns_reversed_ = turn == 2 || turn == 3 || turn == 6 || turn == 7;
        size_ = swapped_ ? Size{image.width, image.height} : Size{image.height, image.width};
        int last = contract.is_yuv() || contract.input == Format::gray ? 0 : 2;
        check(image.y, image.height, image.width, last);
        if (!contract.is_yuv()) return;
        check(image.u, (image.height + 1) / 2, (image.width + 1) / 2, 0);
        check(image.v, (image.height + 1) / 2, (image.width + 1) / 2, 0);
    }

    Size size() const { return size_; }

    // Writes red, green and blue of the columns from `begin` to below `end`.
    void read(int row, int begin, int end, uint8_t* rgb) const {
        int across = rows_reversed_ ? size_.height - 1 - row : row;
        int along = columns_reversed_ ? size_.width - 1 - begin : begin, step = columns_reversed_ ? -1 : 1;
        if (contract_.is_yuv())
            read_yuv(across, along, step, end - begin, rgb);
        else
            read_pixels(across, along, step, end - begin, rgb);
    }

private:
    static void check(const Plane& plane, int height, int width, int last_channel) {
        int64_t needed = static_cast<int64_t>(height - 1) * plane.row_stride +
                         static_cast<int64_t>(width - 1) * plane.pixel_stride + last_channel + 1;
        if (plane.data == nullptr || static_cast<int64_t>(plane.bytes) < needed)
            throw Error("a plane has " + std::to_string(plane.bytes) + " bytes; its size and strides need " +
                        std::to_string(needed) + ". Check the size, the strides and the format");
    }

    static ptrdiff_t offset(const Plane& plane, int y, int x) {
        return static_cast<ptrdiff_t>(y) * plane.row_stride + static_cast<ptrdiff_t>(x) * plane.pixel_stride;
    }

    static uint8_t clip(int value) { return static_cast<uint8_t>(std::min(std::max(value, 0), 255)); }

    void read_pixels(int across, int along, int step, int count, uint8_t* rgb) const {
        const Plane& plane = image_.y;
        const uint8_t* at = plane.data + (swapped_ ? offset(plane, along, across) : offset(plane, across, along));
        ptrdiff_t next = static_cast<ptrdiff_t>(step) * (swapped_ ? plane.row_stride : plane.pixel_stride);
        int channel = contract_.input == Format::gray ? 0 : 1;
        for (int i = 0; i < count; i++, at += next, rgb += 3) {
            rgb[0] = at[0];
            rgb[1] = at[channel];
            rgb[2] = at[2 * channel];
        }
    }

    void read_yuv(int across, int along, int step, int count, uint8_t* rgb) const {
        static constexpr int factors[4][5] = {{76309, 104597, 25675, 53279, 132201},
                                              {65536, 91881, 22553, 46802, 116130},
                                              {76309, 117489, 13975, 34925, 138438},
                                              {65536, 103206, 12276, 30679, 121609}};
        const int* c = factors[2 * static_cast<int>(contract_.matrix) + static_cast<int>(contract_.range)];
        const int black = contract_.range == Range::limited ? 16 : 0;
        const int cy = c[0], rv = c[1], gu = c[2], gv = c[3], bu = c[4];
        for (int i = 0; i < count; i++, along += step, rgb += 3) {
            int y = swapped_ ? along : across, x = swapped_ ? across : along;
            int u = image_.u.data[offset(image_.u, y >> 1, x >> 1)] - 128;
            int v = image_.v.data[offset(image_.v, y >> 1, x >> 1)] - 128;
            int luma = (image_.y.data[offset(image_.y, y, x)] - black) * cy + 32768;
            rgb[0] = clip((luma + rv * v) >> 16);
            rgb[1] = clip((luma - gu * u - gv * v) >> 16);
            rgb[2] = clip((luma + bu * u) >> 16);
        }
    }

    const Image& image_;
    const Contract& contract_;
    Size size_;
    bool swapped_ = false;
    bool rows_reversed_ = false;
    bool columns_reversed_ = false;
};

}  // namespace pocketfit
