// Decryption by AES-256 in Galois counter mode, after FIPS 197 and NIST SP 800-38D; the standard library has none.
//
// It reads tables at places that depend on the key, so who runs code on the same processor core may learn the key from
// the time that takes. Where that matters, decrypt with the system's library instead.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pocketfit/ed25519.hpp"

namespace pocketfit {

class AesGcm {
public:
    static constexpr size_t nonce_bytes = 12, tag_bytes = 16;

    explicit AesGcm(const Key& key) {
        expand(key);
        Block h = load(encrypted({}));
        multiples_[8] = h;
        for (size_t i = 4; i > 0; i /= 2) multiples_[i] = times_x(multiples_[2 * i]);
        for (size_t i = 2; i < 16; i *= 2)
            for (size_t j = 1; j < i; j++)
                multiples_[i + j] = {multiples_[i].high ^ multiples_[j].high, multiples_[i].low ^ multiples_[j].low};
        for (uint64_t i = 0; i < 16; i++) reductions_[i] = times_x(times_x(times_x(times_x({0, i})))).high;
    }

    // What was encrypted; none where key, nonce, tag or what the text is bound to is another one.
    std::optional<std::string> open(std::string_view sealed, std::string_view bound_to) const {
        if (sealed.size() < nonce_bytes + tag_bytes) return std::nullopt;
        std::string_view text = sealed.substr(nonce_bytes, sealed.size() - nonce_bytes - tag_bytes);
        Bytes counter{};
        for (size_t i = 0; i < nonce_bytes; i++) counter[i] = static_cast<uint8_t>(sealed[i]);
        counter[15] = 1;
        Bytes mask = encrypted(counter), tag = store(hashed(bound_to, text));
        int differs = 0;
        for (size_t i = 0; i < 16; i++)
            differs |= tag[i] ^ mask[i] ^ static_cast<uint8_t>(sealed[sealed.size() - tag_bytes + i]);
        if (differs != 0) return std::nullopt;
        return turned(text, counter);
    }

private:
    using Bytes = std::array<uint8_t, 16>;

    // A polynomial over two elements: the highest bit of `high` is the constant term.
    struct Block {
        uint64_t high = 0, low = 0;
    };

    struct Tables {
        std::array<uint8_t, 256> box{};
        // A substituted byte times (2, 1, 1, 3): a column of what a round makes of it.
        std::array<uint32_t, 256> column{};
    };

    static uint8_t doubled(uint8_t byte) { return static_cast<uint8_t>(byte << 1 ^ (byte & 0x80 ? 0x1b : 0)); }

    static const Tables& tables() {
        static const Tables made = [] {
            Tables tables;
            // p runs through all bytes but 0 as powers of 3, q through their inverses.
            uint8_t p = 1, q = 1;
            do {
                p = static_cast<uint8_t>(p ^ doubled(p));
                q = static_cast<uint8_t>(q ^ q << 1);
                q = static_cast<uint8_t>(q ^ q << 2);
                q = static_cast<uint8_t>(q ^ q << 4);
                if (q & 0x80) q ^= 0x09;
                uint32_t twice = q * 0x101u;
                tables.box[p] = static_cast<uint8_t>(q ^ twice >> 7 ^ twice >> 6 ^ twice >> 5 ^ twice >> 4 ^ 0x63);
            } while (p != 1);
            tables.box[0] = 0x63;
            for (size_t i = 0; i < 256; i++) {
                uint8_t one = tables.box[i], two = doubled(one);
                tables.column[i] = uint32_t{two} << 24 | uint32_t{one} << 16 | uint32_t{one} << 8 | (one ^ two);
            }
            return tables;
        }();
        return made;
    }

    static uint32_t right(uint32_t word, int by) { return word >> by | word << (32 - by); }

    static uint32_t substituted(uint32_t word) {
        const auto& box = tables().box;
        return uint32_t{box[word >> 24]} << 24 | uint32_t{box[word >> 16 & 255]} << 16 |
               uint32_t{box[word >> 8 & 255]} << 8 | box[word & 255];
    }

    void expand(const Key& key) {
        for (size_t i = 0; i < 32; i++) round_keys_[i / 4] = round_keys_[i / 4] << 8 | key[i];
        uint8_t power = 1;
        for (size_t i = 8; i < round_keys_.size(); i++) {
            uint32_t word = round_keys_[i - 1];
            if (i % 8 == 0) {
                word = substituted(right(word, 24)) ^ uint32_t { power } << 24;
                power = doubled(power);
            } else if (i % 8 == 4) {
                word = substituted(word);
            }
            round_keys_[i] = round_keys_[i - 8] ^ word;
        }
    }

    Bytes encrypted(const Bytes& bytes) const {
        const auto& column = tables().column;
        std::array<uint32_t, 4> state{}, next{};
        for (size_t i = 0; i < 16; i++) state[i / 4] = state[i / 4] << 8 | bytes[i];
        for (size_t i = 0; i < 4; i++) state[i] ^= round_keys_[i];
        for (size_t round = 4; round < 56; round += 4) {
            for (size_t i = 0; i < 4; i++)
                next[i] = column[state[i] >> 24] ^ right(column[state[(i + 1) % 4] >> 16 & 255], 8) ^
                          right(column[state[(i + 2) % 4] >> 8 & 255], 16) ^
                          right(column[state[(i + 3) % 4] & 255], 24) ^ round_keys_[round + i];
            state = next;
        }
        for (size_t i = 0; i < 4; i++)
            next[i] = substituted((state[i] & 0xff000000) | (state[(i + 1) % 4] & 0xff0000) |
                                  (state[(i + 2) % 4] & 0xff00) | (state[(i + 3) % 4] & 0xff)) ^
                      round_keys_[56 + i];
        Bytes result{};
        for (size_t i = 0; i < 16; i++) result[i] = static_cast<uint8_t>(next[i / 4] >> (24 - 8 * (i % 4)));
        return result;
    }

    // The text under the key stream whose counters follow this one.
    std::string turned(std::string_view text, Bytes counter) const {
        std::string result(text);
        for (size_t at = 0; at < result.size(); at += 16) {
            for (size_t i = 15; i >= 12 && ++counter[i] == 0; i--) {
            }
            Bytes stream = encrypted(counter);
            for (size_t i = 0; i < 16 && at + i < result.size(); i++)
                result[at + i] = static_cast<char>(result[at + i] ^ stream[i]);
        }
        return result;
    }

    static Block load(const Bytes& bytes) {
        Block block;
        for (size_t i = 0; i < 8; i++)
            block.high = block.high << 8 | bytes[i], block.low = block.low << 8 | bytes[8 + i];
        return block;
    }

    static Bytes store(const Block& block) {
        Bytes bytes{};
        for (size_t i = 0; i < 16; i++)
            bytes[i] = static_cast<uint8_t>((i < 8 ? block.high : block.low) >> (56 - 8 * (i % 8)));
        return bytes;
    }

    static Block times_x(const Block& block) {
        uint64_t over = block.low & 1 ? 0xe1ull << 56 : 0;
        return {block.high >> 1 ^ over, block.low >> 1 | block.high << 63};
    }

    // Times the hash key, four bits at a time.
    Block times_key(const Block& block) const {
        Block result;
        for (int shift = 0; shift < 128; shift += 4) {
            uint64_t rest = result.low & 15;
            result.low = result.low >> 4 | result.high << 60;
            result.high = result.high >> 4 ^ reductions_[rest];
            uint64_t bits = (shift < 64 ? block.low >> shift : block.high >> (shift - 64)) & 15;
            result.high ^= multiples_[bits].high;
            result.low ^= multiples_[bits].low;
        }
        return result;
    }

    Block absorbed(Block hash, std::string_view bytes) const {
        for (size_t at = 0; at < bytes.size(); at += 16) {
            Bytes part{};
            for (size_t i = 0; i < 16 && at + i < bytes.size(); i++) part[i] = static_cast<uint8_t>(bytes[at + i]);
            Block block = load(part);
            hash = times_key({hash.high ^ block.high, hash.low ^ block.low});
        }
        return hash;
    }

    Block hashed(std::string_view bound_to, std::string_view text) const {
        Block hash = absorbed(absorbed({}, bound_to), text);
        return times_key({hash.high ^ uint64_t{bound_to.size()} * 8, hash.low ^ uint64_t{text.size()} * 8});
    }

    std::array<uint32_t, 60> round_keys_{};
    std::array<Block, 16> multiples_{};
    std::array<uint64_t, 16> reductions_{};
};

}  // namespace pocketfit
