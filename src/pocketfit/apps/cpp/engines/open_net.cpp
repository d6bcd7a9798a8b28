#include "net.hpp"

namespace pocketfit {

std::unique_ptr<Net> open_net(const std::string& runtime, [[maybe_unused]] const Request& request) {
#ifdef POCKETFIT_WITH_ONNXRUNTIME
    if (runtime == "onnxruntime") {
        return open_onnxruntime(request);
    }
#endif
#ifdef POCKETFIT_WITH_NCNN
    if (runtime == "ncnn") {
        return open_ncnn(request);
    }
#endif
#ifdef POCKETFIT_WITH_MNN
    if (runtime == "mnn") {
        return open_mnn(request);
    }
#endif
    throw MissingRuntime(runtime);
}

}  // namespace pocketfit
