// The folder that `pocketfit fit` wrote, trusted with nothing before it is checked.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pocketfit/aes_gcm.hpp"
#include "pocketfit/contract.hpp"
#include "pocketfit/ed25519.hpp"
#include "pocketfit/gallery.hpp"
#include "pocketfit/policy.hpp"
#include "pocketfit/sha256.hpp"

namespace pocketfit {

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw Error(path.string() + " cannot be read");
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

// Whether a name with / between its parts stays in the folder that it is relative to, on any system.
inline bool stays_inside(std::string_view name) {
    if (name.empty() || name.find_first_of(std::string_view("\\:\0\n", 4)) != std::string_view::npos) return false;
    for (size_t at = 0; at <= name.size();) {
        size_t end = std::min(name.find('/', at), name.size());
        std::string_view part = name.substr(at, end - at);
        if (part.empty() || part == "." || part == "..") return false;
        at = end + 1;
    }
    return true;
}

// A key from 64 hexadecimal digits.
inline Key key_of(std::string_view digits) {
    static constexpr std::string_view signs = "0123456789abcdef";
    if (digits.size() != 64) throw Error("a key has 64 hexadecimal digits");
    Key key{};
    for (size_t i = 0; i < 64; i++) {
        size_t digit = signs.find(static_cast<char>(digits[i] | 0x20));
        if (digit == std::string_view::npos) throw Error("a key has hexadecimal digits alone");
        key[i / 2] = static_cast<uint8_t>(key[i / 2] << 4 | digit);
    }
    return key;
}

// What an app demands of a bundle. Without a key an unsigned one is taken as well.
struct Trust {
    std::optional<Key> public_key;
    // The bundle's release may not be lower, so that none with known faults is brought back.
    int64_t least_release = 0;
};

// A file of a model in memory, checked and decrypted.
struct ModelFile {
    std::string name;
    std::string bytes;
};

class Bundle {
public:
    // Checks the signature, the release, the manifest and every file that it lists, those of all variants.
    static Bundle open(const std::filesystem::path& folder, const Trust& trust = {}) {
        std::string text = read_file(folder / "manifest.json");
        if (trust.public_key) check_signature(folder, text, *trust.public_key);
        Bundle bundle(folder, ".", Json::parse(text));
        if (bundle.release() < trust.least_release)
            throw Error("the bundle is release " + std::to_string(bundle.release()) + ", older than is allowed");
        for (const auto& [name, entry] : bundle.entries()) bundle.check(name, entry);
        bundle.add_variants();
        if (bundle.has("policy")) bundle.check_policy(bundle.policy());
        return bundle;
    }

    // The files of one artifact; none where the bundle does not have it. Precisions are float32, float16 and int8.
    std::vector<std::filesystem::path> files(std::string_view runtime, std::string_view precision) const {
        std::vector<std::filesystem::path> found;
        for (const std::string& name : names(runtime, precision)) found.push_back(inside(name));
        return found;
    }

    // The same files in memory; what is named by a folder is not among them. Encrypted ones need their key.
    std::vector<ModelFile> load(std::string_view runtime, std::string_view precision,
                                const std::optional<Key>& key = {}) const {
        std::vector<ModelFile> found;
        for (const std::string& name : names(runtime, precision))
            if (const Json* entry = manifest_.at("files").find(name))
                found.push_back({name, loaded(name, *entry, key)});
        return found;
    }

    // Its own name among several variants; empty where there is only one.
    const std::string& name() const { return name_; }
    // The variants behind the first.
    const std::vector<Bundle>& others() const { return others_; }

    // The variant of that name.
    const Bundle& variant(std::string_view name) const {
        return find([name](const Bundle& one) { return one.name_ == name; }, name);
    }

    // Where an artifact lies that a policy names.
    const Bundle& of(const ArtifactRef& artifact) const {
        return find([&artifact](const Bundle& one) { return one.place_ == artifact.bundle; }, artifact.bundle);
    }

    // Which artifact runs when, of all variants; has("policy") says whether there is one.
    Policy policy() const { return Policy::from_json(Json::parse(read("policy"))); }

    bool is_encrypted() const { return manifest_.has("encryption"); }
    int64_t release() const { return manifest_.has("release") ? manifest_.at("release").integer() : 0; }
    bool has(std::string_view part) const { return manifest_.has(part); }

    // A part that the manifest names: preprocess, preprocess_vectors, labels, policy, thresholds, report.
    // It is checked once more, for it may have been changed since the bundle was opened.
    std::string read(std::string_view part) const { return content(manifest_.at(part).string()); }

    // A file that the manifest lists, likewise.
    std::string content(const std::string& name) const { return read_checked(name, manifest_.at("files").at(name)); }

    // What is to be done to images and outputs.
    Contract contract() const { return Contract::from_json(Json::parse(read("preprocess"))); }

    // From which score on an artifact accepts, as `pocketfit bundle threshold` chose it; has("thresholds") says whether
    // there are any. Of a liveness gate it is a probability.
    double threshold(std::string_view runtime, std::string_view precision) const {
        Json thresholds = Json::parse(read("thresholds"));
        if (thresholds.at("version").integer() != 1) throw Error("the thresholds have another version than 1");
        for (const Json& one : thresholds.at("artifacts").items())
            if (one.at("runtime").string() == runtime && one.at("precision").string() == precision)
                return one.at("threshold").number();
        throw Error("the bundle has no threshold of " + std::string(runtime) + " " + std::string(precision));
    }

    // An empty gallery for the embeddings of an artifact, with its threshold.
    Gallery gallery(std::string_view runtime, std::string_view precision) const {
        Json thresholds = Json::parse(read("thresholds"));
        if (thresholds.at("score").string() != "cosine")
            throw Error("the bundle's thresholds are not those of cosines");
        std::string model = manifest_.at("model").at("fingerprint").string() + " ";
        model.append(runtime).append(" ").append(precision);
        return {model, static_cast<size_t>(thresholds.at("length").integer()), threshold(runtime, precision)};
    }

    const Json& manifest() const { return manifest_; }

private:
    Bundle(std::filesystem::path folder, std::string place, Json manifest)
        : folder_(std::move(folder)), place_(std::move(place)), manifest_(std::move(manifest)) {
        if (!manifest_.has("format") || manifest_.at("format").string() != "pocketfit-bundle")
            throw Error(folder_.string() + " is not a bundle");
        int64_t schema = manifest_.at("schema_version").integer();
        if (schema < 2 || schema > 4)
            throw Error("the bundle has schema " + std::to_string(schema) + "; this code reads 2 to 4");
    }

    static void check_signature(const std::filesystem::path& folder, const std::string& manifest, const Key& key) {
        std::filesystem::path path = folder / "manifest.sig";
        if (!std::filesystem::exists(path)) throw Error(folder.string() + " is not signed");
        if (!is_signed(key, read_file(path), manifest))
            throw Error("the signature of " + folder.string() + " is not one of its manifest by the app's key");
    }

    const std::vector<std::pair<std::string, Json>>& entries() const { return manifest_.at("files").members(); }

    void add_variants() {
        if (!manifest_.has("variants")) return;
        for (const auto& [name, place] : manifest_.at("variants").members())
            if (place.string() == ".")
                name_ = name;
            else
                add_variant(name, place.string());
        if (!others_.empty() && name_.empty()) throw Error("none of the variants is the bundle itself");
    }

    // Its files were checked as the bundle's own; its manifest has to say the same of them.
    void add_variant(const std::string& name, const std::string& place) {
        std::filesystem::path folder = inside(place);
        std::string own = place + "/manifest.json";
        if (!manifest_.at("files").has(own)) throw Error("the variant " + name + " has no manifest");
        Bundle variant(folder, place, Json::parse(read_checked(own, manifest_.at("files").at(own))));
        for (const auto& [file, entry] : variant.entries()) {
            variant.inside(file);
            const Json* known = manifest_.at("files").find(place + "/" + file);
            if (!known || known->at("sha256").string() != entry.at("sha256").string())
                throw Error(place + "/" + file + " is another file to the variant's manifest");
        }
        variant.name_ = name;
        others_.push_back(std::move(variant));
    }

    void check_policy(const Policy& policy) const {
        for (const Variant& variant : policy.variants)
            if (std::none_of(variant.artifacts.begin(), variant.artifacts.end(),
                             [this](const ArtifactRef& one) { return holds(one); }))
                throw Error("the policy's variant " + variant.name + " names no artifact of the bundle");
    }

    bool holds(const ArtifactRef& artifact) const {
        auto there = [&artifact](const Bundle& one) {
            return one.place_ == artifact.bundle && !one.names(artifact.runtime, artifact.precision).empty();
        };
        return there(*this) || std::any_of(others_.begin(), others_.end(), there);
    }

    template <typename Test>
    const Bundle& find(const Test& test, std::string_view what) const {
        if (test(*this)) return *this;
        for (const Bundle& one : others_)
            if (test(one)) return one;
        throw Error("the bundle has no variant " + std::string(what));
    }

    std::vector<std::string> names(std::string_view runtime, std::string_view precision) const {
        std::vector<std::string> found;
        for (const Json& artifact : manifest_.at("artifacts").items())
            if (artifact.at("runtime").string() == runtime && artifact.at("precision").string() == precision)
                for (const Json& name : artifact.at("files").items()) found.push_back(name.string());
        return found;
    }

    // A name from the manifest as a path, which must not lead out of the bundle.
    std::filesystem::path inside(const std::string& name) const {
        if (!stays_inside(name)) throw Error("the manifest names " + name + ", which leads out of the bundle");
        return folder_ / name;
    }

    void check(const std::string& name, const Json& entry) const {
        std::filesystem::path path = inside(name);
        if (!std::filesystem::exists(path)) throw Error(name + " is not there");
        if (std::filesystem::canonical(path.parent_path()) / path.filename() !=
                std::filesystem::canonical(folder_) / name ||
            std::filesystem::is_symlink(path))
            throw Error(name + " is reached by a link; such a bundle is not read");
        read_checked(name, entry);
    }

    std::string read_checked(const std::string& name, const Json& entry) const {
        std::string content = read_file(inside(name));
        Sha256 hash;
        hash.update(content.data(), content.size());
        if (hash.hex() != entry.at("sha256").string()) throw Error(name + " is not the file that was written");
        return content;
    }

    std::string loaded(const std::string& name, const Json& entry, const std::optional<Key>& key) const {
        std::string content = read_checked(name, entry);
        if (!is_encrypted()) return content;
        const Json& encryption = manifest_.at("encryption");
        const auto& encrypted = encryption.at("files").items();
        auto is_it = [&name](const Json& one) { return one.string() == name; };
        if (std::none_of(encrypted.begin(), encrypted.end(), is_it)) return content;
        if (encryption.at("algorithm").string() != "AES-256-GCM")
            throw Error(name + " is encrypted by an unknown method");
        if (!key) throw Error(name + " is encrypted, and there is no key");
        std::optional<std::string> plain = AesGcm(*key).open(content, encryption.at("id").string() + "/" + name);
        if (!plain) throw Error(name + " cannot be decrypted: the key is another one, or the file belongs elsewhere");
        return *std::move(plain);
    }

    std::filesystem::path folder_;
    // Relative to the bundle that has the policy.
    std::string place_;
    std::string name_;
    Json manifest_;
    std::vector<Bundle> others_;
};

}  // namespace pocketfit
