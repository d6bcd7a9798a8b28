#pragma once

#include <MNN/Tensor.hpp>
#include <cstddef>
#include <string>
#include <vector>

enum MNNForwardType { MNN_FORWARD_CPU = 0, MNN_FORWARD_OPENCL = 3, MNN_FORWARD_NN = 5, MNN_FORWARD_VULKAN = 7 };

namespace MNN {

enum ErrorCode { NO_ERROR = 0 };

struct BackendConfig {
    enum PrecisionMode { Precision_Normal = 0, Precision_High, Precision_Low };
    PrecisionMode precision = Precision_Normal;
};

struct ScheduleConfig {
    MNNForwardType type = MNN_FORWARD_CPU;
    int numThread = 4;
    BackendConfig* backendConfig = nullptr;
};

class Session;

class Interpreter {
public:
    enum SessionInfoCode { MEMORY = 0, FLOPS = 1, BACKENDS = 2 };

    static Interpreter* createFromFile(const char* file);
    static Interpreter* createFromBuffer(const void* buffer, size_t size);
    ~Interpreter();
    Session* createSession(const ScheduleConfig& config);
    void resizeSession(Session* session);
    ErrorCode runSession(Session* session) const;
    Tensor* getSessionInput(const Session* session, const char* name);
    Tensor* getSessionOutput(const Session* session, const char* name);
    bool getSessionInfo(const Session* session, SessionInfoCode code, void* pointer);
    void resizeTensor(Tensor* tensor, const std::vector<int>& shape);
};

}  // namespace MNN
