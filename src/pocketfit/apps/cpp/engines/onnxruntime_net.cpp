#include <onnxruntime_cxx_api.h>

#include "net.hpp"

namespace pocketfit {
namespace {

class OnnxruntimeNet final : public Net {
public:
    explicit OnnxruntimeNet(const Request& request) : request_(request), results_(request.outputs.size()) {
        if (request.delegate != "cpu") {
            throw std::runtime_error("ONNX Runtime finds no " + request.delegate + " here");
        }
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(request.threads);
        if (request.contents.empty()) {
            session_ = Ort::Session(environment(), request.files.at(0).c_str(), options);
        } else {
            const std::string& model = request.contents[0];
            session_ = Ort::Session(environment(), model.data(), model.size(), options);
            request_.contents.clear();
        }
        for (const auto& shape : request.shapes) {
            shapes_.emplace_back(shape.begin(), shape.end());
        }
        for (const auto& name : request_.inputs) {
            inputs_.push_back(name.c_str());
        }
        for (const auto& name : request_.outputs) {
            outputs_.push_back(name.c_str());
        }
    }

    void run(const std::vector<const float*>& inputs, const std::vector<std::size_t>& bytes) override {
        check_bytes(request_, bytes);
        given_.clear();
        for (std::size_t i = 0; i < shapes_.size(); i++) {
            // The API takes what may be written, and does not write to inputs.
            given_.push_back(tensor(const_cast<float*>(inputs[i]), volume(request_.shapes[i]), shapes_[i]));
        }
        if (found_.empty()) {
            find_outputs();
        }
        session_.Run(Ort::RunOptions{nullptr}, inputs_.data(), given_.data(), given_.size(), outputs_.data(),
                     found_.data(), found_.size());
    }

    const std::vector<float>& output(std::size_t index) override { return results_[index]; }

private:
    static Ort::Env& environment() {
        static Ort::Env shared(ORT_LOGGING_LEVEL_ERROR, "pocketfit");
        return shared;
    }

    Ort::Value tensor(float* values, std::size_t count, const std::vector<int64_t>& shape) {
        return Ort::Value::CreateTensor<float>(memory_, values, count, shape.data(), shape.size());
    }

    /// The first run says how large the outputs are; all others write into the same memory.
    void find_outputs() {
        std::vector<Ort::Value> first = session_.Run(Ort::RunOptions{nullptr}, inputs_.data(), given_.data(),
                                                     given_.size(), outputs_.data(), outputs_.size());
        for (std::size_t i = 0; i < first.size(); i++) {
            const std::vector<int64_t> shape = first[i].GetTensorTypeAndShapeInfo().GetShape();
            results_[i].resize(first[i].GetTensorTypeAndShapeInfo().GetElementCount());
            found_.push_back(tensor(results_[i].data(), results_[i].size(), shape));
        }
    }

    Request request_;
    Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    Ort::Session session_{nullptr};
    std::vector<std::vector<int64_t>> shapes_;
    std::vector<const char*> inputs_;
    std::vector<const char*> outputs_;
    std::vector<Ort::Value> given_;
    std::vector<Ort::Value> found_;
    std::vector<std::vector<float>> results_;
};

}  // namespace

std::unique_ptr<Net> open_onnxruntime(const Request& request) { return std::make_unique<OnnxruntimeNet>(request); }

}  // namespace pocketfit
