#pragma once

#include <vector>

namespace MNN {

class Tensor {
public:
    enum DimensionType { TENSORFLOW, CAFFE, CAFFE_C4 };

    explicit Tensor(const Tensor* tensor, DimensionType type = CAFFE, bool allocate = true);
    std::vector<int> shape() const;
    int elementSize() const;
    bool copyFromHostTensor(const Tensor* host);
    bool copyToHostTensor(Tensor* host) const;

    template <typename T>
    T* host() const {
        return static_cast<T*>(data);
    }

private:
    void* data = nullptr;
};

}  // namespace MNN
