// The whole numbers of resize, crop and letterbox.
#pragma once

#include <algorithm>

#include "pocketfit/contract.hpp"

namespace pocketfit {

// Where an image comes to lie in the model's input.
struct Placement {
    // Of the image, turned upright.
    Size image;
    // After the resize.
    Size resized;
    // Of the model's input.
    Size size;
    // Of the resized image's corner from the input's: negative after a crop, positive in a letterbox.
    int top = 0;
    int left = 0;
};

// A quotient of whole numbers above 0, rounded.
inline int divide(int64_t numerator, int64_t denominator, Rounding rounding) {
    int64_t quotient = numerator / denominator, rest = numerator % denominator;
    if (rounding == Rounding::half_even && 2 * rest >= denominator)
        quotient += 2 * rest > denominator ? 1 : quotient % 2;
    return static_cast<int>(quotient);
}

inline Size shorter_side(Size image, int pixels, Rounding longer) {
    int64_t height = image.height, width = image.width;
    if (width <= height) return {std::max(pixels, divide(height * pixels, width, longer)), pixels};
    return {pixels, std::max(pixels, divide(width * pixels, height, longer))};
}

// The size at which the image touches two sides of the box; the width fills it where both fit.
inline Size fitted(Size image, Size box, Rounding longer) {
    int64_t height = image.height, width = image.width;
    if (box.width * height <= box.height * width)
        return {std::max(1, divide(height * box.width, width, longer)), box.width};
    return {box.height, std::max(1, divide(width * box.height, height, longer))};
}

inline Placement resized(Size image, const Contract& contract) {
    switch (contract.resize) {
        case Resize::none:
            return {image, image, image};
        case Resize::exact:
            return {image, contract.resize_size, contract.resize_size};
        case Resize::shorter_side: {
            Size size = shorter_side(image, contract.resize_pixels, contract.longer);
            return {image, size, size};
        }
        case Resize::letterbox:
            break;
    }
    Size box = contract.resize_size, size = fitted(image, box, contract.longer);
    if (contract.align == Align::top_left) return {image, size, box};
    return {image, size, box, (box.height - size.height) / 2, (box.width - size.width) / 2};
}

// Where an image of that size, turned upright, comes to lie.
inline Placement place(Size image, const Contract& contract) {
    Placement where = resized(image, contract);
    if (!contract.cropped) return where;
    if (where.size.height < contract.crop.height || where.size.width < contract.crop.width)
        throw Error("the image is smaller than the crop; give a larger one");
    where.top -= divide(where.size.height - contract.crop.height, 2, contract.crop_offset);
    where.left -= divide(where.size.width - contract.crop.width, 2, contract.crop_offset);
    where.size = contract.crop;
    return where;
}

}  // namespace pocketfit
