// What preprocess.json says; docs/preprocessing.md defines it.
#pragma once

#include <array>
#include <initializer_list>
#include <string>
#include <vector>

#include "pocketfit/json.hpp"

namespace pocketfit {

enum class Format { rgb, rgba, gray, nv21, nv12, i420 };
enum class Matrix { bt601, bt709 };
enum class Range { limited, full };
enum class Rounding { floor, half_even };
enum class Resize { none, shorter_side, exact, letterbox };
enum class Align { center, top_left };
enum class Kernel { nearest, bilinear, bicubic, box, area };
enum class Color { rgb, bgr, gray };
enum class Layout { nchw, nhwc };
enum class Dtype { float32, uint8, int8 };
enum class Output { none, classes, boxes, embedding };
enum class BoxFormat { xyxy, cxcywh };
enum class Activation { none, sigmoid, softmax };

// Vertical before horizontal, in pixels.
struct Size {
    int height = 0;
    int width = 0;
};

struct Quantization {
    double scale = 1;
    int zero_point = 0;
};

struct Contract {
    Format input = Format::rgb;
    Matrix matrix = Matrix::bt601;
    Range range = Range::full;
    // As EXIF counts; 0 applies the one that comes with the image.
    int orientation = 0;
    Resize resize = Resize::none;
    // Of exact and letterbox.
    Size resize_size;
    // Of shorter_side.
    int resize_pixels = 0;
    Rounding longer = Rounding::half_even;
    std::array<int, 3> fill{114, 114, 114};
    Align align = Align::center;
    Kernel kernel = Kernel::bilinear;
    bool antialias = true;
    bool cropped = false;
    Size crop;
    Rounding crop_offset = Rounding::floor;
    Color color = Color::rgb;
    double scale = 1.0 / 255;
    std::vector<double> mean{0};
    std::vector<double> std{1};
    Layout layout = Layout::nchw;
    Dtype dtype = Dtype::float32;
    Quantization quantization;
    Output output = Output::none;
    bool softmax = true;
    int top_k = 5;
    bool normalise = true;
    BoxFormat box_format = BoxFormat::xyxy;
    bool normalised = true;
    Activation activation = Activation::none;
    double score_threshold = 0.25;
    double iou_threshold = 0.45;
    bool class_wise = true;
    int max_boxes = 100;
    std::vector<std::string> labels;

    bool is_yuv() const { return input >= Format::nv21; }
    int channels() const { return color == Color::gray ? 1 : 3; }
    // Empty where the class has no name.
    std::string label(int index) const {
        return index < static_cast<int>(labels.size()) ? labels[static_cast<size_t>(index)] : std::string();
    }

    static Contract from_json(const Json& json);
};

// Reads the members of one JSON object over defaults.
class Fields {
public:
    explicit Fields(const Json& json) : json_(json) {}

    template <typename Enum>
    void word(std::string_view key, Enum& value, std::initializer_list<std::string_view> words) const {
        const Json* given = json_.find(key);
        if (given == nullptr) return;
        int index = 0;
        for (std::string_view word : words) {
            if (word == given->string()) {
                value = static_cast<Enum>(index);
                return;
            }
            index++;
        }
        throw Error("the contract's " + std::string(key) + " is " + given->string() + ", which is not known");
    }

    void number(std::string_view key, double& value) const {
        if (json_.has(key)) value = json_.at(key).number();
    }
    void number(std::string_view key, int& value) const {
        if (json_.has(key)) value = static_cast<int>(json_.at(key).integer());
    }
    void flag(std::string_view key, bool& value) const {
        if (json_.has(key)) value = json_.at(key).boolean();
    }
    void size(std::string_view key, Size& value) const {
        if (!json_.has(key)) return;
        const auto& sides = json_.at(key).items();
        if (sides.size() != 2) throw Error("a size has to be height and width");
        value = {static_cast<int>(sides[0].integer()), static_cast<int>(sides[1].integer())};
    }
    void numbers(std::string_view key, std::vector<double>& values) const {
        if (!json_.has(key)) return;
        values.clear();
        for (const Json& one : json_.at(key).items()) values.push_back(one.number());
    }

private:
    const Json& json_;
};

inline void read_input(const Json& json, Contract& contract) {
    Fields fields(json);
    fields.word("format", contract.input, {"rgb", "rgba", "gray", "nv21", "nv12", "i420"});
    fields.word("matrix", contract.matrix, {"bt601", "bt709"});
    fields.word("range", contract.range, {"limited", "full"});
}

inline void read_resize(const Json& json, Contract& contract) {
    Fields fields(json);
    fields.word("kind", contract.resize, {"", "shorter_side", "exact", "letterbox"});
    fields.number("pixels", contract.resize_pixels);
    fields.size("size", contract.resize_size);
    fields.word("longer", contract.longer, {"floor", "half_even"});
    fields.word("align", contract.align, {"center", "top_left"});
    if (!json.has("fill")) return;
    const auto& fill = json.at("fill").items();
    if (fill.size() != contract.fill.size()) throw Error("a fill has to be red, green and blue");
    for (size_t i = 0; i < fill.size(); i++) contract.fill[i] = static_cast<int>(fill[i].integer());
}

inline void read_output(const Json& json, Contract& contract) {
    Fields fields(json);
    fields.word("kind", contract.output, {"", "classes", "boxes", "embedding"});
    fields.flag("softmax", contract.softmax);
    fields.number("top_k", contract.top_k);
    fields.flag("normalise", contract.normalise);
    fields.word("format", contract.box_format, {"xyxy", "cxcywh"});
    fields.flag("normalised", contract.normalised);
    fields.word("activation", contract.activation, {"none", "sigmoid", "softmax"});
    fields.number("score_threshold", contract.score_threshold);
    fields.number("iou_threshold", contract.iou_threshold);
    fields.flag("class_wise", contract.class_wise);
    fields.number("max_boxes", contract.max_boxes);
    if (!json.has("labels")) return;
    for (const Json& label : json.at("labels").items()) contract.labels.push_back(label.string());
}

inline Contract Contract::from_json(const Json& json) {
    if (json.has("version") && json.at("version").integer() != 1)
        throw Error("the contract has another version than 1; take the app code of the Pocketfit that wrote it");
    Contract contract;
    Fields fields(json);
    if (json.has("input")) read_input(json.at("input"), contract);
    if (json.has("resize")) read_resize(json.at("resize"), contract);
    if (json.has("output")) read_output(json.at("output"), contract);
    fields.number("orientation", contract.orientation);
    fields.word("kernel", contract.kernel, {"nearest", "bilinear", "bicubic", "box", "area"});
    fields.flag("antialias", contract.antialias);
    contract.cropped = json.has("crop");
    if (contract.cropped) {
        Fields crop(json.at("crop"));
        crop.size("size", contract.crop);
        crop.word("offset", contract.crop_offset, {"floor", "half_even"});
    }
    fields.word("color", contract.color, {"rgb", "bgr", "gray"});
    fields.number("scale", contract.scale);
    fields.numbers("mean", contract.mean);
    fields.numbers("std", contract.std);
    fields.word("layout", contract.layout, {"nchw", "nhwc"});
    fields.word("dtype", contract.dtype, {"float32", "uint8", "int8"});
    if (json.has("quantization")) {
        Fields quantization(json.at("quantization"));
        quantization.number("scale", contract.quantization.scale);
        quantization.number("zero_point", contract.quantization.zero_point);
    }
    return contract;
}

}  // namespace pocketfit
