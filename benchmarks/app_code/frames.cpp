// Weighs what a FrameRunner allocates while every frame is run: frames COUNT. Prints JSON.

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <new>

#include "pocketfit/frame_runner.hpp"

static std::atomic<size_t> allocated{0};

void* operator new(size_t bytes) {
    allocated += bytes;
    if (void* memory = std::malloc(bytes)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

int main(int, char** arguments) {
    using Buffer = std::array<char, 64>;
    const int frames = std::atoi(arguments[1]);
    std::atomic<int64_t> used{0};
    pocketfit::FrameRunner<Buffer> runner([](Buffer& buffer) { buffer[1]++; }, [&used](int64_t) { used++; }, {},
                                          {0, 16'666, INT32_MAX});
    pocketfit::Decision infer;
    infer.action = pocketfit::Action::infer;
    auto offer = [&runner, &infer](int count) {
        for (int i = 0; i < count; i++) {
            runner.offer([](Buffer& buffer) { buffer[0]++; }, infer);
            while (runner.in_flight() > 0) std::this_thread::yield();
        }
    };
    offer(2 * frames);
    size_t before = allocated;
    int64_t used_before = used;
    offer(frames);
    size_t more = allocated - before;
    std::cout << "{\"bytes\": " << more << ", \"frames\": " << frames << ", \"run\": " << used - used_before << "}\n";
}
