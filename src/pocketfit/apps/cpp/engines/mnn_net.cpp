#include <MNN/Interpreter.hpp>
#include <MNN/Tensor.hpp>
#include <cstring>

#include "net.hpp"

namespace pocketfit {
namespace {

MNNForwardType forward_type(const std::string& delegate) {
    if (delegate == "cpu") {
        return MNN_FORWARD_CPU;
    }
    if (delegate == "opencl") {
        return MNN_FORWARD_OPENCL;
    }
    if (delegate == "vulkan") {
        return MNN_FORWARD_VULKAN;
    }
    if (delegate == "nnapi") {
        return MNN_FORWARD_NN;
    }
    throw std::runtime_error("MNN has no " + delegate + " here; there is opencl, vulkan, nnapi");
}

class MnnNet final : public Net {
public:
    explicit MnnNet(const Request& request) : request_(request), results_(request.outputs.size()) {
        net_.reset(request.contents.empty()
                       ? MNN::Interpreter::createFromFile(request.files.at(0).c_str())
                       : MNN::Interpreter::createFromBuffer(request.contents[0].data(), request.contents[0].size()));
        if (net_ == nullptr) {
            throw std::runtime_error("MNN cannot load the network");
        }
        open_session(forward_type(request.delegate));
        resize();
        for (const auto& name : request.inputs) {
            ins_.emplace_back(net_->getSessionInput(session_, name.c_str()));
        }
        for (const auto& name : request.outputs) {
            outs_.emplace_back(net_->getSessionOutput(session_, name.c_str()));
        }
    }

    void run(const std::vector<const float*>& inputs, const std::vector<std::size_t>& bytes) override {
        check_bytes(request_, bytes);
        for (std::size_t i = 0; i < ins_.size(); i++) {
            std::memcpy(ins_[i].host->host<float>(), inputs[i], bytes[i]);
            ins_[i].device->copyFromHostTensor(ins_[i].host.get());
        }
        if (net_->runSession(session_) != MNN::NO_ERROR) {
            throw std::runtime_error("MNN cannot run the network");
        }
        for (std::size_t i = 0; i < outs_.size(); i++) {
            outs_[i].device->copyToHostTensor(outs_[i].host.get());
            const auto count = static_cast<std::size_t>(outs_[i].host->elementSize());
            results_[i].resize(count);
            std::memcpy(results_[i].data(), outs_[i].host->host<float>(), count * sizeof(float));
        }
    }

    const std::vector<float>& output(std::size_t index) override { return results_[index]; }

private:
    /// A tensor where MNN has it, and one with channels first where the app can reach it.
    struct Pair {
        explicit Pair(MNN::Tensor* there) : device(there) {
            if (there == nullptr) {
                throw std::runtime_error("MNN's network has other inputs or outputs than its bundle says");
            }
            host = std::make_unique<MNN::Tensor>(there, MNN::Tensor::CAFFE);
        }

        MNN::Tensor* device;
        std::unique_ptr<MNN::Tensor> host;
    };

    void open_session(MNNForwardType wanted) {
        // As Pocketfit measured it: arithmetic narrower than float32 changes answers.
        MNN::BackendConfig precise;
        precise.precision = MNN::BackendConfig::Precision_High;
        MNN::ScheduleConfig config;
        config.type = wanted;
        config.numThread = request_.threads;
        config.backendConfig = &precise;
        session_ = net_->createSession(config);
        int backend[4] = {-1, -1, -1, -1};
        // Without the backend MNN takes the CPU, which has more than one number, and says nothing.
        if (session_ == nullptr || !net_->getSessionInfo(session_, MNN::Interpreter::BACKENDS, backend) ||
            (wanted != MNN_FORWARD_CPU && backend[0] != wanted)) {
            throw std::runtime_error("MNN finds no " + request_.delegate + " here");
        }
    }

    /// A network for any batch is brought to one sample.
    void resize() {
        bool changed = false;
        for (std::size_t i = 0; i < request_.inputs.size(); i++) {
            MNN::Tensor* input = net_->getSessionInput(session_, request_.inputs[i].c_str());
            if (input != nullptr && input->shape() != request_.shapes[i]) {
                net_->resizeTensor(input, request_.shapes[i]);
                changed = true;
            }
        }
        if (changed) {
            net_->resizeSession(session_);
        }
    }

    Request request_;
    std::unique_ptr<MNN::Interpreter> net_;
    MNN::Session* session_ = nullptr;
    std::vector<Pair> ins_;
    std::vector<Pair> outs_;
    std::vector<std::vector<float>> results_;
};

}  // namespace

std::unique_ptr<Net> open_mnn(const Request& request) { return std::make_unique<MnnNet>(request); }

}  // namespace pocketfit
