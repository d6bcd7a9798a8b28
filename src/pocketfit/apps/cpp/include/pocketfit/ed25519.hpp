// Verification of Ed25519 signatures after RFC 8032, section 5.1; the standard library has none.
//
// Everything here is public, so nothing has to take the same time for all numbers. There is no signing.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pocketfit/sha512.hpp"

namespace pocketfit {

using Key = std::array<uint8_t, 32>;

namespace ed25519 {

// 256 bits, the lowest first. As a number of the field it stands for its remainder by 2^255 - 19.
using Words = std::array<uint32_t, 8>;

inline constexpr Words prime{0xffffffed, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x7fffffff};
// Order of the base point: 2^252 + 27742317777372353535851937790883648493.
inline constexpr Words order{0x5cf5d3ed, 0x5812631a, 0xa2f79cd6, 0x14def9de, 0, 0, 0, 0x10000000};

inline Words small(uint32_t value) { return {value}; }

inline bool below(const Words& one, const Words& other) {
    return std::lexicographical_compare(one.rbegin(), one.rend(), other.rbegin(), other.rend());
}

// One minus the other; the borrow, 0 or -1, is told.
inline int64_t subtract(Words& one, const Words& other) {
    int64_t borrow = 0;
    for (size_t i = 0; i < 8; i++) {
        borrow += int64_t{one[i]} - other[i];
        one[i] = static_cast<uint32_t>(borrow);
        borrow >>= 32;
    }
    return borrow;
}

// What lies beyond 2^256 counts 38 times.
template <typename Over>
Words folded(Words words, Over over) {
    while (over != 0) {
        over *= 38;
        for (uint32_t& word : words) {
            over += word;
            word = static_cast<uint32_t>(over);
            over >>= 32;
        }
    }
    return words;
}

inline Words sum(const Words& one, const Words& other) {
    Words words;
    uint64_t carry = 0;
    for (size_t i = 0; i < 8; i++) {
        carry += uint64_t{one[i]} + other[i];
        words[i] = static_cast<uint32_t>(carry);
        carry >>= 32;
    }
    return folded(words, carry);
}

inline Words difference(Words one, const Words& other) {
    int64_t borrow = subtract(one, other);
    return folded(one, borrow);
}

inline Words product(const Words& one, const Words& other) {
    std::array<uint32_t, 16> wide{};
    for (size_t i = 0; i < 8; i++) {
        uint64_t carry = 0;
        for (size_t j = 0; j < 8; j++) {
            carry += uint64_t{one[i]} * other[j] + wide[i + j];
            wide[i + j] = static_cast<uint32_t>(carry);
            carry >>= 32;
        }
        wide[i + 8] = static_cast<uint32_t>(carry);
    }
    Words words;
    uint64_t carry = 0;
    for (size_t i = 0; i < 8; i++) {
        carry += uint64_t{wide[i + 8]} * 38 + wide[i];
        words[i] = static_cast<uint32_t>(carry);
        carry >>= 32;
    }
    return folded(words, carry);
}

inline Words reduced(Words words) {
    while (!below(words, prime)) subtract(words, prime);
    return words;
}

inline bool same(const Words& one, const Words& other) { return reduced(one) == reduced(other); }

inline bool bit(const Words& words, int at) { return words[static_cast<size_t>(at / 32)] >> (at % 32) & 1; }

inline Words power(const Words& base, const Words& exponent) {
    Words result = small(1);
    for (int at = 255; at >= 0; at--) {
        result = product(result, result);
        if (bit(exponent, at)) result = product(result, base);
    }
    return result;
}

// The prime less something small, divided by a power of two: the exponents that the field needs.
inline Words exponent(uint32_t less, int shift) {
    Words words = prime;
    subtract(words, small(less));
    for (size_t i = 0; i < 8; i++) {
        uint64_t two = words[i] | (i < 7 ? uint64_t{words[i + 1]} << 32 : 0);
        words[i] = static_cast<uint32_t>(two >> shift);
    }
    return words;
}

inline Words inverse(const Words& words) { return power(words, exponent(2, 0)); }

// d of the curve -x^2 + y^2 = 1 + d x^2 y^2.
inline const Words& curve() {
    static const Words d = product(difference(small(0), small(121665)), inverse(small(121666)));
    return d;
}

inline const Words& root_of_minus_one() {
    static const Words root = power(small(2), exponent(1, 2));
    return root;
}

// x = X / Z, y = Y / Z and x y = T / Z.
struct Point {
    Words x, y, z, t;
};

inline Point sum(const Point& one, const Point& other) {
    Words a = product(difference(one.y, one.x), difference(other.y, other.x));
    Words b = product(sum(one.y, one.x), sum(other.y, other.x));
    Words c = product(product(one.t, other.t), sum(curve(), curve()));
    Words d = product(one.z, sum(other.z, other.z));
    Words e = difference(b, a), f = difference(d, c), g = sum(d, c), h = sum(b, a);
    return {product(e, f), product(g, h), product(f, g), product(e, h)};
}

inline Words words_of(const uint8_t* bytes) {
    Words words{};
    for (size_t i = 0; i < 32; i++) words[i / 4] |= uint32_t{bytes[i]} << (8 * (i % 4));
    return words;
}

// A point from its 32 bytes; none where there is no such point.
inline std::optional<Point> decoded(const uint8_t* bytes) {
    Words y = words_of(bytes);
    bool odd = bit(y, 255);
    y[7] &= 0x7fffffff;
    if (!below(y, prime)) return std::nullopt;
    Words square = product(y, y);
    Words u = difference(square, small(1)), v = sum(product(curve(), square), small(1));
    Words v3 = product(product(v, v), v), v7 = product(product(v3, v3), v);
    Words x = product(product(u, v3), power(product(u, v7), exponent(5, 3)));
    Words found = product(v, product(x, x));
    if (!same(found, u)) {
        if (!same(found, difference(small(0), u))) return std::nullopt;
        x = product(x, root_of_minus_one());
    }
    x = reduced(x);
    if (x == small(0) && odd) return std::nullopt;
    if (bit(x, 0) != odd) x = difference(small(0), x);
    return Point{x, y, small(1), product(x, y)};
}

inline Key encoded(const Point& point) {
    Words scale = inverse(point.z);
    Words x = reduced(product(point.x, scale)), y = reduced(product(point.y, scale));
    y[7] |= (x[0] & 1) << 31;
    Key bytes{};
    for (size_t i = 0; i < 32; i++) bytes[i] = static_cast<uint8_t>(y[i / 4] >> (8 * (i % 4)));
    return bytes;
}

// A number of 64 bytes, the lowest first, modulo the order.
inline Words modulo_order(const std::array<uint8_t, 64>& bytes) {
    Words rest{};
    for (int at = 511; at >= 0; at--) {
        for (size_t i = 7; i > 0; i--) rest[i] = rest[i] << 1 | rest[i - 1] >> 31;
        rest[0] = rest[0] << 1 | (bytes[static_cast<size_t>(at / 8)] >> (at % 8) & 1u);
        if (!below(rest, order)) subtract(rest, order);
    }
    return rest;
}

inline const Point& base() {
    static const Point point = [] {
        Key bytes;
        bytes.fill(0x66);
        bytes[0] = 0x58;
        return *decoded(bytes.data());
    }();
    return point;
}

// s times the base point and h times the other one.
inline Point combined(const Words& s, const Words& h, const Point& other) {
    Point both = sum(base(), other), result{small(0), small(1), small(1), small(0)};
    for (int at = 255; at >= 0; at--) {
        result = sum(result, result);
        if (bit(s, at) || bit(h, at)) result = sum(result, !bit(h, at) ? base() : bit(s, at) ? both : other);
    }
    return result;
}

}  // namespace ed25519

// Whether the owner of the key has signed the message.
inline bool is_signed(const Key& public_key, std::string_view signature, std::string_view message) {
    using namespace ed25519;
    if (signature.size() != 64) return false;
    const auto* r = reinterpret_cast<const uint8_t*>(signature.data());
    Words s = words_of(r + 32);
    std::optional<Point> key = decoded(public_key.data());
    if (!key || !below(s, order)) return false;
    Sha512 hash;
    hash.update(r, 32);
    hash.update(public_key.data(), public_key.size());
    hash.update(message.data(), message.size());
    Point minus{difference(small(0), key->x), key->y, key->z, difference(small(0), key->t)};
    Key expected = encoded(combined(s, modulo_order(hash.digest()), minus));
    return std::equal(expected.begin(), expected.end(), r);
}

}  // namespace pocketfit
