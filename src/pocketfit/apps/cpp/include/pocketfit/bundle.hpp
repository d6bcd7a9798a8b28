// The folder that `pocketfit fit` wrote, trusted with nothing before it is checked.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "pocketfit/contract.hpp"
#include "pocketfit/sha256.hpp"

namespace pocketfit {

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) throw Error(path.string() + " cannot be read");
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

class Bundle {
public:
    // Checks the manifest and every file that it lists.
    static Bundle open(const std::filesystem::path& folder) {
        Bundle bundle(folder, Json::parse(read_file(folder / "manifest.json")));
        for (const auto& [name, entry] : bundle.manifest_.at("files").members()) bundle.check(name, entry);
        return bundle;
    }

    // The files of one artifact; none where the bundle does not have it. Precisions are float32, float16 and int8.
    std::vector<std::filesystem::path> files(std::string_view runtime, std::string_view precision) const {
        std::vector<std::filesystem::path> found;
        for (const Json& artifact : manifest_.at("artifacts").items())
            if (artifact.at("runtime").string() == runtime && artifact.at("precision").string() == precision)
                for (const Json& name : artifact.at("files").items()) found.push_back(inside(name.string()));
        return found;
    }

    bool has(std::string_view part) const { return manifest_.has(part); }

    // A part that the manifest names: preprocess, preprocess_vectors, labels, report.
    std::string read(std::string_view part) const { return read_file(inside(manifest_.at(part).string())); }

    // What is to be done to images and outputs.
    Contract contract() const { return Contract::from_json(Json::parse(read("preprocess"))); }

    const Json& manifest() const { return manifest_; }

private:
    Bundle(std::filesystem::path folder, Json manifest) : folder_(std::move(folder)), manifest_(std::move(manifest)) {
        if (!manifest_.has("format") || manifest_.at("format").string() != "pocketfit-bundle")
            throw Error(folder_.string() + " is not a bundle");
        int64_t schema = manifest_.at("schema_version").integer();
        if (schema < 2 || schema > 4)
            throw Error("the bundle has schema " + std::to_string(schema) + "; this code reads 2 to 4");
    }

    // A name from the manifest as a path, which must not lead out of the bundle.
    std::filesystem::path inside(const std::string& name) const {
        auto refused = [&name] { return Error("the manifest names " + name + ", which leads out of the bundle"); };
        if (name.empty() || name.find_first_of(std::string_view("\\:\0\n", 4)) != std::string::npos) throw refused();
        for (size_t at = 0; at <= name.size();) {
            size_t end = std::min(name.find('/', at), name.size());
            std::string_view part = std::string_view(name).substr(at, end - at);
            if (part.empty() || part == "." || part == "..") throw refused();
            at = end + 1;
        }
        return folder_ / name;
    }

    void check(const std::string& name, const Json& entry) const {
        std::filesystem::path path = inside(name);
        if (std::filesystem::canonical(path.parent_path()) / path.filename() !=
            std::filesystem::canonical(folder_) / name || std::filesystem::is_symlink(path))
            throw Error(name + " is reached by a link; such a bundle is not read");
        std::string content = read_file(path);
        Sha256 hash;
        hash.update(content.data(), content.size());
        if (hash.hex() != entry.at("sha256").string()) throw Error(name + " is not the file that was written");
    }

    std::filesystem::path folder_;
    Json manifest_;
};

}  // namespace pocketfit
