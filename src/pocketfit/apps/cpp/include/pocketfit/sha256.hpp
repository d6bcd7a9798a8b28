// SHA-256 after FIPS 180-4; the standard library has none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace pocketfit {

class Sha256 {
public:
    void update(const void* data, size_t count) {
        const auto* bytes = static_cast<const uint8_t*>(data);
        for (size_t i = 0; i < count; i++) put(bytes[i]);
        length_ += count;
    }

    // Of everything so far, in hexadecimal; nothing may be added behind it.
    std::string hex() {
        uint64_t bits = length_ * 8;
        put(0x80);
        while (filled_ != 56) put(0);
        for (int shift = 56; shift >= 0; shift -= 8) put(static_cast<uint8_t>(bits >> shift));
        std::string text;
        for (uint32_t word : state_)
            for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
        return text;
    }

private:
    static uint32_t turned(uint32_t word, int by) { return word >> by | word << (32 - by); }

    static const std::array<uint32_t, 64>& constants() {
        static constexpr std::array<uint32_t, 64> words{
            0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
            0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
            0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
            0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
            0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
            0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
            0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
            0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
        return words;
    }

    void put(uint8_t byte) {
        block_[filled_++] = byte;
        if (filled_ < block_.size()) return;
        digest_block();
        filled_ = 0;
    }

    void digest_block() {
        std::array<uint32_t, 64> words{};
        for (size_t i = 0; i < 64; i++) {
            if (i < 16) {
                const uint8_t* at = block_.data() + 4 * i;
                words[i] = uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3];
                continue;
            }
            uint32_t early = words[i - 15], late = words[i - 2];
            words[i] = words[i - 16] + (turned(early, 7) ^ turned(early, 18) ^ early >> 3) + words[i - 7] +
                       (turned(late, 17) ^ turned(late, 19) ^ late >> 10);
        }
        auto [a, b, c, d, e, f, g, h] = state_;
        for (size_t i = 0; i < 64; i++) {
            uint32_t one =
                h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + constants()[i] + words[i];
            uint32_t two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
        }
        const std::array<uint32_t, 8> last{a, b, c, d, e, f, g, h};
        for (size_t i = 0; i < 8; i++) state_[i] += last[i];
    }

    std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<uint8_t, 64> block_{};
    size_t filled_ = 0;
    uint64_t length_ = 0;
};

}  // namespace pocketfit
