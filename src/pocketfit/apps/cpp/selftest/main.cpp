// Replays test vectors: selftest [--public-key HEX] [--least-release N] [--model-key HEX] PATH ..., each path a
// bundle's folder, its .zip, which is unpacked beside it, a .jsonl of policies, cameras or galleries and faces, or the
// .json of a step. What is demanded of bundles comes first. Prints one JSON object a suite; the exit code is 1 where
// anything differs, and 2 where something cannot be read.

#include "frame_vectors.hpp"
#include "matching_vectors.hpp"
#include "pocketfit/unpack.hpp"
#include "policy_vectors.hpp"
#include "step_vectors.hpp"

struct Demands {
    pocketfit::Trust trust;
    std::optional<pocketfit::Key> model_key;

    // Whether it is an option.
    bool take(const std::string& name, const char* value) {
        if (name != "--public-key" && name != "--least-release" && name != "--model-key") return false;
        if (value == nullptr) throw pocketfit::Error(name + " needs a value");
        if (name == "--public-key") trust.public_key = pocketfit::key_of(value);
        if (name == "--least-release") trust.least_release = std::stoll(value);
        if (name == "--model-key") model_key = pocketfit::key_of(value);
        return true;
    }
};

static std::vector<selftest::Suite> replay(const std::string& path, const Demands& demands) {
    if (std::filesystem::is_directory(path))
        return selftest::replay_bundle(pocketfit::Bundle::open(path, demands.trust), demands.model_key);
    if (std::filesystem::path(path).extension() == ".zip")
        return selftest::replay_bundle(pocketfit::unpack(path, path + ".unpacked", demands.trust), demands.model_key);
    if (std::filesystem::path(path).extension() == ".jsonl") {
        if (selftest::about_frames(path)) return selftest::replay_frames(path);
        if (selftest::about_matching(path)) return selftest::replay_matching(path);
        return {selftest::replay_policy(path)};
    }
    return {selftest::replay_step(pocketfit::Json::parse(pocketfit::read_file(path)))};
}

int main(int count, char** arguments) {
    bool good = true;
    Demands demands;
    try {
        for (int i = 1; i < count; i++) {
            if (demands.take(arguments[i], arguments[i + 1])) {
                i++;
                continue;
            }
            for (const selftest::Suite& suite : replay(arguments[i], demands)) {
                std::cout << "{\"suite\": \"" << suite.name << "\", \"passed\": " << suite.passed
                          << ", \"total\": " << suite.total << "}\n";
                good = good && suite.passed == suite.total;
            }
        }
    } catch (const std::exception& error) {
        std::cerr << "selftest: " << error.what() << "\n";
        return 2;
    }
    return good ? 0 : 1;
}
