// Signatures and encrypted texts, right ones and spoilt ones.
#pragma once

#include "pocketfit/bundle.hpp"
#include "vectors.hpp"

namespace selftest {

inline std::string from_hex(const std::string& text) {
    std::string bytes;
    for (size_t i = 0; i < text.size(); i += 2) bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
    return bytes;
}

inline bool replay_ed25519(const Json& test) {
    pocketfit::Key key = pocketfit::key_of(test.at("public_key").string());
    bool found =
        pocketfit::is_signed(key, from_hex(test.at("signature").string()), from_hex(test.at("message").string()));
    return found == test.at("valid").boolean();
}

inline bool replay_aes_gcm(const Json& test) {
    pocketfit::AesGcm cipher(pocketfit::key_of(test.at("key").string()));
    std::optional<std::string> text =
        cipher.open(from_hex(test.at("sealed").string()), from_hex(test.at("bound_to").string()));
    return test.at("text").is_null() ? !text : text == from_hex(test.at("text").string());
}

}  // namespace selftest
