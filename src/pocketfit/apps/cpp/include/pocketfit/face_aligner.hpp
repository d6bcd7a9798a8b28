// A face brought to where a model expects its eyes, nose and mouth.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "pocketfit/json.hpp"

namespace pocketfit {

// Left eye, right eye, tip of the nose, left and right corner of the mouth, as seen: x and y of each.
using Landmarks = std::array<std::array<double, 2>, 5>;

// One for each thread; it keeps its picture.
class FaceAligner {
public:
    static constexpr int side = 112;
    // Source: Deng et al. 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition".
    static constexpr Landmarks arcface{
        {{38.2946, 51.6963}, {73.5318, 51.5014}, {56.0252, 71.7366}, {41.5493, 92.3655}, {70.7299, 92.2041}}};

    // Cuts the face out of upright RGB pixels, height x width x 3: 112 x 112 x 3, valid until the next call. The middle
    // of the first pixel is (0, 0); what lies outside of the picture is black.
    const std::vector<uint8_t>& align(const uint8_t* image, int height, int width, const Landmarks& points) {
        Similarity back = inverse(points);
        pixels_.resize(static_cast<size_t>(side) * side * 3);
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++) {
                double from_x = back.a * x - back.b * y + back.x, from_y = back.b * x + back.a * y + back.y;
                blend(image, height, width, from_x, from_y, &pixels_[static_cast<size_t>(y * side + x) * 3]);
            }
        return pixels_;
    }

private:
    // [a -b x; b a y]
    struct Similarity {
        double a, b, x, y;
    };

    // From the template to the picture: the inverse of Umeyama's (1991), which in the plane is a quotient of sums.
    static Similarity inverse(const Landmarks& points) {
        std::array<double, 2> start{}, end{};
        for (size_t i = 0; i < points.size(); i++)
            for (size_t axis = 0; axis < 2; axis++) {
                start[axis] += points[i][axis] / 5;
                end[axis] += arcface[i][axis] / 5;
            }
        double real = 0, imaginary = 0, spread = 0;
        for (size_t i = 0; i < points.size(); i++) {
            double px = points[i][0] - start[0], py = points[i][1] - start[1];
            double qx = arcface[i][0] - end[0], qy = arcface[i][1] - end[1];
            real += px * qx + py * qy;
            imaginary += px * qy - py * qx;
            spread += px * px + py * py;
        }
        double size = (real * real + imaginary * imaginary) / spread;
        if (!(spread > 0) || !std::isfinite(size) || !(size > 0))
            throw Error("the landmarks are the same or not finite");
        double a = real / size, b = -imaginary / size;
        return {a, b, start[0] - (a * end[0] - b * end[1]), start[1] - (b * end[0] + a * end[1])};
    }

    static void blend(const uint8_t* image, int height, int width, double x, double y, uint8_t* to) {
        double left = std::floor(x), top = std::floor(y), right_share = x - left, lower_share = y - top;
        for (size_t channel = 0; channel < 3; channel++) {
            auto at = [&](double row, double column) {
                bool inside = column >= 0 && column < width && row >= 0 && row < height;
                if (!inside) return 0.0;
                size_t pixel = static_cast<size_t>(row) * static_cast<size_t>(width) + static_cast<size_t>(column);
                return static_cast<double>(image[3 * pixel + channel]);
            };
            double upper = at(top, left) * (1 - right_share) + at(top, left + 1) * right_share;
            double lower = at(top + 1, left) * (1 - right_share) + at(top + 1, left + 1) * right_share;
            to[channel] = static_cast<uint8_t>(std::floor(upper * (1 - lower_share) + lower * lower_share + 0.5));
        }
    }

    std::vector<uint8_t> pixels_;
};

}  // namespace pocketfit
