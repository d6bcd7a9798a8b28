// Who is enrolled, and who of them an embedding is like; every score is the reference's to the last bit.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pocketfit/json.hpp"

namespace pocketfit {

// Somebody in a gallery, by the place that Gallery::name takes, and the cosine with the template.
struct Match {
    size_t person = 0;
    double score = 0;
};

// Sum of the products: number i goes to sum i mod 4, and a product of two floats is exact in a double.
inline double dot(const float* one, const float* other, size_t length) {
    std::array<double, 4> sums{};
    size_t whole = length - length % 4;
    for (size_t i = 0; i < whole; i += 4)
        for (size_t lane = 0; lane < 4; lane++) sums[lane] += static_cast<double>(one[i + lane]) * other[i + lane];
    for (size_t i = whole; i < length; i++) sums[i - whole] += static_cast<double>(one[i]) * other[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Templates by name, in the order of their enrolment. One for each thread; searching allocates nothing.
class Gallery {
public:
    // What makes the embeddings, which tell nothing to another model; their length; a cosine above the threshold is
    // that of the same person. Bundle::gallery knows all three.
    Gallery(std::string model, size_t length, double threshold)
        : model_(std::move(model)),
          length_(length),
          threshold_(threshold),
          unit_(length),
          template_(length),
          sums_(length) {}

    size_t size() const { return names_.size(); }
    size_t length() const { return length_; }
    double threshold() const { return threshold_; }
    const std::string& name(size_t person) const { return names_.at(person); }

    // Keeps the mean of somebody's embeddings, one behind the other, in the place of an older one of that name. Returns
    // the lowest cosine of an embedding with it: low where one of them is of somebody else.
    double enrol(const std::string& name, const float* embeddings, size_t count) {
        if (name.empty() || count == 0) throw Error("somebody is enrolled with a name and at least one embedding");
        std::fill(sums_.begin(), sums_.end(), 0.0);
        for (size_t i = 0; i < count; i++) {
            normalise(embeddings + i * length_, unit_.data());
            for (size_t at = 0; at < length_; at++) sums_[at] += unit_[at];
        }
        std::vector<float> mean(length_);
        for (size_t at = 0; at < length_; at++) mean[at] = static_cast<float>(sums_[at] / static_cast<double>(count));
        normalise(mean.data(), template_.data());
        double lowest = 2;
        for (size_t i = 0; i < count; i++) {
            normalise(embeddings + i * length_, unit_.data());
            lowest = std::min(lowest, dot(unit_.data(), template_.data(), length_));
        }
        keep(name);
        return lowest;
    }

    void remove(std::string_view name) {
        auto at = static_cast<std::ptrdiff_t>(index(name));
        auto length = static_cast<std::ptrdiff_t>(length_);
        names_.erase(names_.begin() + at);
        templates_.erase(templates_.begin() + at * length, templates_.begin() + (at + 1) * length);
    }

    // The cosine of an embedding with somebody's template.
    double score(std::string_view name, const float* embedding) {
        size_t person = index(name);
        normalise(embedding, unit_.data());
        return dot(templates_.data() + person * length_, unit_.data(), length_);
    }

    // Whether an embedding is of that person (1:1).
    bool verify(std::string_view name, const float* embedding) { return score(name, embedding) > threshold_; }

    // Whom an embedding may be of (1:N), best first and of equal ones those enrolled first; empty for a stranger. Valid
    // until the next call.
    const std::vector<Match>& search(const float* embedding, size_t most = 1) {
        found_.clear();
        found_.reserve(most);
        normalise(embedding, unit_.data());
        for (size_t person = 0; person < names_.size(); person++)
            insert({person, dot(templates_.data() + person * length_, unit_.data(), length_)}, most);
        return found_;
    }

    // What is written to a file; docs/matching.md says how. It is not encrypted.
    std::string to_bytes() const {
        std::string bytes(magic);
        put_whole(bytes, length_);
        put_text(bytes, model_);
        put_whole(bytes, names_.size());
        for (size_t person = 0; person < names_.size(); person++) {
            put_text(bytes, names_[person]);
            for (size_t at = 0; at < length_; at++) {
                uint32_t bits;
                std::memcpy(&bits, &templates_[person * length_ + at], sizeof bits);
                put_whole(bytes, bits);
            }
        }
        return bytes;
    }

    // Enrols everybody that to_bytes wrote, in place of those who are there; a gallery of another model is refused, and
    // one that is refused changes nothing.
    void from_bytes(std::string_view bytes) {
        Gallery read(model_, length_, threshold_);
        if (take(bytes, magic.size()) != magic) throw Error("the file is no gallery");
        if (take_whole(bytes) != length_ || take_text(bytes) != model_)
            throw Error("the gallery is of another model; enrol everybody again");
        for (size_t left = take_whole(bytes); left > 0; left--) {
            std::string name(take_text(bytes));
            if (name.empty() || read.find(name))
                throw Error("the gallery is damaged: a name is missing or there twice");
            for (float& value : read.template_) {
                uint32_t bits = take_whole(bytes);
                std::memcpy(&value, &bits, sizeof value);
                if (!std::isfinite(value)) throw Error("the gallery is damaged: a number is not finite");
            }
            read.keep(name);
        }
        if (!bytes.empty()) throw Error("the gallery is damaged: it goes on behind its end");
        *this = std::move(read);
    }

    // All or nothing: a file that is there stays until the new one is complete.
    void save(const std::filesystem::path& path) const {
        std::filesystem::path partial = path;
        partial += ".partial";
        std::string bytes = to_bytes();
        std::ofstream file(partial, std::ios::binary);
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        file.close();
        if (!file) throw Error(partial.string() + " cannot be written");
        std::filesystem::rename(partial, path);
    }

    void load(const std::filesystem::path& path) {
        std::ifstream file(path, std::ios::binary);
        if (!file) throw Error(path.string() + " cannot be read");
        from_bytes(std::string{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
    }

private:
    static constexpr std::string_view magic = "PFGALL01";

    void normalise(const float* embedding, float* unit) const {
        double norm = std::sqrt(dot(embedding, embedding, length_));
        if (!std::isfinite(norm) || norm == 0)
            throw Error("an embedding is all zeros, or holds a number that is not finite");
        for (size_t i = 0; i < length_; i++) unit[i] = static_cast<float>(embedding[i] / norm);
    }

    // Into the best so far, behind those that are as good.
    void insert(Match match, size_t most) {
        if (!(match.score > threshold_) || most == 0) return;
        if (found_.size() == most && match.score <= found_.back().score) return;
        if (found_.size() == most) found_.pop_back();
        auto better = [&match](const Match& one) { return one.score >= match.score; };
        found_.insert(std::partition_point(found_.begin(), found_.end(), better), match);
    }

    // The template that was just made.
    void keep(const std::string& name) {
        std::optional<size_t> known = find(name);
        size_t person = known ? *known : names_.size();
        if (!known) {
            names_.push_back(name);
            templates_.resize(names_.size() * length_);
        }
        std::copy(template_.begin(), template_.end(),
                  templates_.begin() + static_cast<std::ptrdiff_t>(person * length_));
    }

    std::optional<size_t> find(std::string_view name) const {
        auto at = std::find(names_.begin(), names_.end(), name);
        if (at == names_.end()) return {};
        return static_cast<size_t>(at - names_.begin());
    }

    size_t index(std::string_view name) const {
        if (std::optional<size_t> person = find(name)) return *person;
        throw Error("nobody is enrolled as " + std::string(name));
    }

    static void put_whole(std::string& bytes, size_t number) {
        for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(number >> shift & 0xFF);
    }

    static void put_text(std::string& bytes, const std::string& text) {
        put_whole(bytes, text.size());
        bytes += text;
    }

    static std::string_view take(std::string_view& bytes, size_t count) {
        if (bytes.size() < count) throw Error("the gallery is cut off");
        std::string_view taken = bytes.substr(0, count);
        bytes.remove_prefix(count);
        return taken;
    }

    static uint32_t take_whole(std::string_view& bytes) {
        uint32_t number = 0;
        int shift = 0;
        for (char byte : take(bytes, 4)) {
            number |= static_cast<uint32_t>(static_cast<uint8_t>(byte)) << shift;
            shift += 8;
        }
        return number;
    }

    static std::string_view take_text(std::string_view& bytes) { return take(bytes, take_whole(bytes)); }

    std::string model_;
    size_t length_;
    double threshold_;
    std::vector<std::string> names_;
    std::vector<float> templates_;
    // Kept from call to call.
    std::vector<float> unit_;
    std::vector<float> template_;
    std::vector<double> sums_;
    std::vector<Match> found_;
};

}  // namespace pocketfit
