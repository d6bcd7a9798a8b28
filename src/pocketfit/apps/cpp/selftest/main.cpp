// Replays test vectors: selftest PATH ..., each a bundle's folder, a .jsonl of policies or cameras, or the .json of a step.
// Prints one JSON object a suite; the exit code is 1 where anything differs, and 2 where something cannot be read.

#include "frame_vectors.hpp"
#include "policy_vectors.hpp"
#include "step_vectors.hpp"

static std::vector<selftest::Suite> replay(const std::string& path) {
    if (std::filesystem::is_directory(path)) return selftest::replay_bundle(pocketfit::Bundle::open(path));
    if (std::filesystem::path(path).extension() == ".jsonl") {
        if (selftest::about_frames(path)) return selftest::replay_frames(path);
        return {selftest::replay_policy(path)};
    }
    return {selftest::replay_step(pocketfit::Json::parse(pocketfit::read_file(path)))};
}

int main(int count, char** arguments) {
    bool good = true;
    try {
        for (int i = 1; i < count; i++)
            for (const selftest::Suite& suite : replay(arguments[i])) {
                std::cout << "{\"suite\": \"" << suite.name << "\", \"passed\": " << suite.passed
                          << ", \"total\": " << suite.total << "}\n";
                good = good && suite.passed == suite.total;
            }
    } catch (const std::exception& error) {
        std::cerr << "selftest: " << error.what() << "\n";
        return 2;
    }
    return good ? 0 : 1;
}
