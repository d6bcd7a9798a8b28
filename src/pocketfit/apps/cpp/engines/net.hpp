#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace pocketfit {

/// What is to be opened: the main file first; inputs and outputs by their names; "cpu" or an accelerator. Contents are
/// what the files hold, such as a decrypted model; where they are given, the files are not read.
struct Request {
    std::vector<std::string> files;
    std::vector<std::string> inputs;
    std::vector<std::vector<int>> shapes;
    std::vector<std::string> outputs;
    int threads = 1;
    std::string delegate = "cpu";
    std::vector<std::string> contents = {};
};

/// This was built without the runtime.
class MissingRuntime : public std::runtime_error {
public:
    explicit MissingRuntime(const std::string& runtime)
        : std::runtime_error("built without " + runtime + "; name it to CMake (on Android, in gradle.properties)") {}
};

/// An opened network, for one thread at a time.
class Net {
public:
    virtual ~Net() = default;

    /// Runs it on float32 in the order of the request's inputs; bytes are what each buffer holds.
    virtual void run(const std::vector<const float*>& inputs, const std::vector<std::size_t>& bytes) = 0;

    /// What the last run gave for an output, row by row and without gaps.
    virtual const std::vector<float>& output(std::size_t index) = 0;
};

inline std::size_t volume(const std::vector<int>& shape) {
    std::size_t count = 1;
    for (int side : shape) {
        count *= static_cast<std::size_t>(side);
    }
    return count;
}

inline void check_bytes(const Request& request, const std::vector<std::size_t>& bytes) {
    for (std::size_t i = 0; i < request.shapes.size(); i++) {
        const std::size_t needed = volume(request.shapes[i]) * sizeof(float);
        if (i >= bytes.size() || bytes[i] != needed) {
            throw std::runtime_error("the model's " + request.inputs[i] + " takes " + std::to_string(needed) +
                                     " bytes of float32, not " + std::to_string(i < bytes.size() ? bytes[i] : 0));
        }
    }
}

/// A network in the runtime that an artifact is for; throws MissingRuntime where this was built without it.
std::unique_ptr<Net> open_net(const std::string& runtime, const Request& request);

/// Each throws std::runtime_error where the files or the accelerator cannot be used.
std::unique_ptr<Net> open_onnxruntime(const Request& request);
std::unique_ptr<Net> open_ncnn(const Request& request);
std::unique_ptr<Net> open_mnn(const Request& request);

}  // namespace pocketfit
