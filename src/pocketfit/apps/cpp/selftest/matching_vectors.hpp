// Enrolments and searches, and faces cut out, one case a line.
#pragma once

#include <fstream>

#include "pocketfit/face_aligner.hpp"
#include "pocketfit/gallery.hpp"
#include "pocketfit/sha256.hpp"
#include "vectors.hpp"

namespace selftest {

class GalleryCase {
public:
    explicit GalleryCase(const Json& test) : test_(test), gallery_(of(test.at("gallery"))), embeddings_(numbers()) {}

    bool replay() {
        const auto &steps = test_.at("steps").items(), &found = test_.at("found").items();
        for (size_t i = 0; i < steps.size(); i++)
            if (!same(steps[i], found[i])) return false;
        return true;
    }

private:
    static pocketfit::Gallery of(const Json& told) {
        return {told.at("model").string(), static_cast<size_t>(told.at("length").integer()),
                told.at("threshold").number()};
    }

    std::vector<float> numbers() const {
        std::vector<uint8_t> bytes = from_base64(test_.at("embeddings").string());
        std::vector<float> values(bytes.size() / sizeof(float));
        std::memcpy(values.data(), bytes.data(), bytes.size());
        return values;
    }

    // Refused exactly where null is found.
    bool same(const Json& step, const Json& found) {
        try {
            return do_it(step, found);
        } catch (const pocketfit::Error&) {
            return found.is_null();
        }
    }

    bool do_it(const Json& step, const Json& found) {
        const std::string &what = step.at("do").string(), &name = step.at("name").string();
        const auto& rows = step.at("rows").items();
        if (what == "enrol") {
            std::vector<float> chosen;
            for (const Json& one : rows) chosen.insert(chosen.end(), row(one), row(one) + gallery_.length());
            double lowest = gallery_.enrol(name, chosen.data(), rows.size());
            return !found.is_null() && lowest == found.number();
        }
        if (what == "reload") return reload(found);
        if (what == "remove") return gallery_.remove(name), !found.is_null();
        const float* embedding = row(rows.front());
        if (what == "search")
            return same_matches(gallery_.search(embedding, static_cast<size_t>(step.at("most").integer())), found);
        double score = gallery_.score(name, embedding);
        return !found.is_null() && score == found.items()[0].number() &&
               gallery_.verify(name, embedding) == found.items()[1].boolean();
    }

    bool same_matches(const std::vector<pocketfit::Match>& matches, const Json& found) const {
        if (found.is_null() || matches.size() != found.items().size()) return false;
        for (size_t i = 0; i < matches.size(); i++) {
            const auto& one = found.items()[i].items();
            if (gallery_.name(matches[i].person) != one[0].string() || matches[i].score != one[1].number())
                return false;
        }
        return true;
    }

    // Goes on with what was read; one that is cut off, or of another model, is refused.
    bool reload(const Json& found) {
        std::string bytes = gallery_.to_bytes();
        pocketfit::Sha256 hash;
        hash.update(bytes.data(), bytes.size());
        pocketfit::Gallery read = of(test_.at("gallery")), other("another", gallery_.length(), gallery_.threshold());
        bool refused =
            refuses(read, bytes.substr(0, bytes.size() - 1)) && refuses(read, bytes + '\0') && refuses(other, bytes);
        read.from_bytes(bytes);
        gallery_ = std::move(read);
        return refused && !found.is_null() && hash.hex() == found.string();
    }

    static bool refuses(pocketfit::Gallery& gallery, const std::string& bytes) {
        try {
            gallery.from_bytes(bytes);
        } catch (const pocketfit::Error&) {
            return gallery.size() == 0;
        }
        return false;
    }

    const float* row(const Json& number) const {
        return embeddings_.data() + static_cast<size_t>(number.integer()) * gallery_.length();
    }

    const Json& test_;
    pocketfit::Gallery gallery_;
    std::vector<float> embeddings_;
};

inline bool about_matching(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    return std::getline(file, line) && Json::parse(line).has("gallery");
}

inline bool replay_face(const Json& test) {
    const Json &told = test.at("noise"), &found = test.at("found");
    const auto& shape = told.at("shape").items();
    std::vector<uint8_t> image = noise(volume(told.at("shape")), static_cast<uint32_t>(told.at("seed").integer()));
    pocketfit::Landmarks points;
    for (size_t i = 0; i < 10; i++) points[i / 2][i % 2] = test.at("landmarks").items()[i].number();
    pocketfit::FaceAligner aligner;
    try {
        const auto& face = aligner.align(image.data(), static_cast<int>(shape[0].integer()),
                                         static_cast<int>(shape[1].integer()), points);
        pocketfit::Sha256 hash;
        hash.update(face.data(), face.size());
        return !found.is_null() && hash.hex() == found.string();
    } catch (const pocketfit::Error&) {
        return found.is_null();
    }
}

inline std::vector<Suite> replay_matching(const std::string& path) {
    Suite galleries{"gallery"}, faces{"align"};
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        Json test = Json::parse(line);
        const std::string& name = test.at("name").string();
        if (test.has("landmarks"))
            faces.count(replay_face(test), name);
        else
            galleries.count(GalleryCase(test).replay(), name);
    }
    return {galleries, faces};
}

}  // namespace selftest
