// Times the preprocessing of a 1080p camera image: speed CONTRACT FRAMES. Prints JSON.

#include <cstdlib>
#include <ctime>
#include <iostream>
#include <new>

#include "pocketfit/bundle.hpp"
#include "pocketfit/preprocessor.hpp"

static size_t allocated = 0;

void* operator new(size_t bytes) {
    allocated += bytes;
    if (void* memory = std::malloc(bytes)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

int main(int, char** arguments) {
    const int height = 1080, width = 1920, frames = std::atoi(arguments[2]), warm_up = 2 * frames;
    std::vector<uint8_t> buffer(static_cast<size_t>(height * width * 3 / 2));
    uint32_t state = 1;
    for (uint8_t& byte : buffer) byte = static_cast<uint8_t>((state = 1664525u * state + 1013904223u) >> 24);
    pocketfit::Preprocessor preprocessor(
        pocketfit::Contract::from_json(pocketfit::Json::parse(pocketfit::read_file(arguments[1]))));
    std::vector<double> milliseconds(static_cast<size_t>(frames));
    size_t before = 0;
    for (int frame = -warm_up; frame < frames; frame++) {
        if (frame == 0) before = allocated;
        std::clock_t start = std::clock();
        preprocessor.run(pocketfit::Image::yuv(buffer.data(), buffer.size(), height, width, pocketfit::Format::nv21));
        double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        if (frame >= 0) milliseconds[static_cast<size_t>(frame)] = 1000 * seconds;
    }
    size_t more = allocated - before;
    std::cout << "{\"bytes_per_frame\": " << more / static_cast<size_t>(frames) << ", \"ms\": [" << milliseconds[0];
    for (size_t i = 1; i < milliseconds.size(); i++) std::cout << ", " << milliseconds[i];
    std::cout << "]}\n";
}
