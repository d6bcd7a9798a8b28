#include <algorithm>
#include <cstring>

#include "datareader.h"
#include "net.h"
#include "net.hpp"

#if NCNN_VULKAN
#include "gpu.h"
#endif

namespace pocketfit {
namespace {

bool has_vulkan() {
#if NCNN_VULKAN
    return ncnn::get_gpu_count() > 0;
#else
    return false;
#endif
}

class NcnnNet final : public Net {
public:
    explicit NcnnNet(const Request& request) : request_(request), results_(request.outputs.size()) {
        if (std::max(request.files.size(), request.contents.size()) < 2) {
            throw std::runtime_error("ncnn needs the .param and the .bin of a network");
        }
        choose(request);
        if (!(request_.contents.empty() ? load(request_.files) : load_contents(request_.contents))) {
            throw std::runtime_error("ncnn cannot load the network");
        }
        for (const auto& shape : request.shapes) {
            mats_.push_back(matrix(shape));
        }
    }

    void run(const std::vector<const float*>& inputs, const std::vector<std::size_t>& bytes) override {
        check_bytes(request_, bytes);
        ncnn::Extractor extractor = net_.create_extractor();
        // What was computed for one output is needed for the next.
        extractor.set_light_mode(request_.outputs.size() == 1);
        for (std::size_t i = 0; i < mats_.size(); i++) {
            fill(mats_[i], inputs[i]);
            extractor.input(request_.inputs[i].c_str(), mats_[i]);
        }
        for (std::size_t i = 0; i < results_.size(); i++) {
            ncnn::Mat found;
            if (extractor.extract(request_.outputs[i].c_str(), found) != 0) {
                throw std::runtime_error("ncnn cannot compute " + request_.outputs[i]);
            }
            copy(found, results_[i]);
        }
    }

    const std::vector<float>& output(std::size_t index) override { return results_[index]; }

private:
    bool load(const std::vector<std::string>& files) {
        return net_.load_param(files[0].c_str()) == 0 && net_.load_model(files[1].c_str()) == 0;
    }

    /// ncnn does not copy the weights, so the request stays.
    bool load_contents(const std::vector<std::string>& contents) {
        auto at = reinterpret_cast<const unsigned char*>(contents[1].data());
        ncnn::DataReaderFromMemory weights(at);
        return net_.load_param_mem(contents[0].c_str()) == 0 && net_.load_model(weights) == 0;
    }

    /// As Pocketfit measured it: what is not INT8 computes in float32.
    void choose(const Request& request) {
        net_.opt.num_threads = request.threads;
        net_.opt.use_fp16_packed = false;
        net_.opt.use_fp16_storage = false;
        net_.opt.use_fp16_arithmetic = false;
        net_.opt.use_bf16_storage = false;
        net_.opt.use_vulkan_compute = request.delegate == "vulkan";
        if (request.delegate != "cpu" && !(request.delegate == "vulkan" && has_vulkan())) {
            throw std::runtime_error("ncnn finds no " + request.delegate + " here");
        }
    }

    /// The shape without its batch of 1, as ncnn has it: the width first.
    static ncnn::Mat matrix(const std::vector<int>& shape) {
        switch (shape.size()) {
            case 2:
                return ncnn::Mat(shape[1]);
            case 3:
                return ncnn::Mat(shape[2], shape[1]);
            case 4:
                return ncnn::Mat(shape[3], shape[2], shape[1]);
            default:
                throw std::runtime_error("ncnn takes inputs of 2 to 4 dimensions");
        }
    }

    static std::size_t plane(const ncnn::Mat& mat) {
        return static_cast<std::size_t>(mat.w) * static_cast<std::size_t>(mat.h) * static_cast<std::size_t>(mat.d);
    }

    /// Channels begin at multiples of 16 bytes, so they are copied one by one.
    static void fill(ncnn::Mat& mat, const float* values) {
        for (int channel = 0; channel < mat.c; channel++, values += plane(mat)) {
            std::memcpy(mat.channel(channel), values, plane(mat) * sizeof(float));
        }
    }

    static void copy(const ncnn::Mat& mat, std::vector<float>& values) {
        values.resize(plane(mat) * static_cast<std::size_t>(mat.c));
        for (int channel = 0; channel < mat.c; channel++) {
            const float* from = mat.channel(channel);
            std::memcpy(values.data() + plane(mat) * static_cast<std::size_t>(channel), from,
                        plane(mat) * sizeof(float));
        }
    }

    Request request_;
    ncnn::Net net_;
    std::vector<ncnn::Mat> mats_;
    std::vector<std::vector<float>> results_;
};

}  // namespace

std::unique_ptr<Net> open_ncnn(const Request& request) { return std::make_unique<NcnnNet>(request); }

}  // namespace pocketfit
