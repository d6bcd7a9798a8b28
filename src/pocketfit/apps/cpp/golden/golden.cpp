// Runs a bundle's golden inputs through every artifact whose engine was built, and compares the answers with the
// expected ones: golden [--threads N] [--public-key HEX] [--model-key HEX] BUNDLE
// The exit code is 4 where any of them is farther off than the bundle allows, and 2 where nothing could be run.

#include <cmath>
#include <cstring>
#include <iostream>

#include "net.hpp"
#include "pocketfit/bundle.hpp"

namespace {

using pocketfit::Bundle;
using pocketfit::Json;

struct Options {
    std::string bundle;
    int threads = 1;
    pocketfit::Trust trust;
    std::optional<pocketfit::Key> model_key;
};

struct Count {
    int passed = 0, failed = 0;
};

std::vector<float> floats(const Bundle& bundle, const Json& array) {
    const std::string bytes = bundle.content(array.at("file").string());
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

// The first input or output of an artifact, and those behind it.
std::vector<Json> tensors(const Json& artifact, const std::string& which) {
    std::vector<Json> found{artifact.at(which)};
    if (const Json* more = artifact.find("more_" + which + "s")) {
        found.insert(found.end(), more->items().begin(), more->items().end());
    }
    return found;
}

void check_inputs(const Json& artifact) {
    for (const Json& input : tensors(artifact, "input")) {
        if (input.at("dtype").string() != "float32") throw pocketfit::Error("it takes " + input.at("dtype").string());
    }
}

pocketfit::Request request_for(const Bundle& bundle, const Json& artifact, const Options& options) {
    pocketfit::Request request;
    request.threads = options.threads;
    for (const Json& input : tensors(artifact, "input")) {
        request.inputs.push_back(input.at("name").string());
        request.shapes.emplace_back();
        for (const Json& side : input.at("shape").items())
            request.shapes.back().push_back(static_cast<int>(side.integer()));
    }
    for (const Json& output : tensors(artifact, "output")) request.outputs.push_back(output.at("name").string());
    for (pocketfit::ModelFile& file :
         bundle.load(artifact.at("runtime").string(), artifact.at("precision").string(), options.model_key))
        request.contents.push_back(std::move(file.bytes));
    return request;
}

// Whatever is not a number is as far off as can be.
double distance(const std::vector<float>& found, const float* expected) {
    double largest = 0;
    for (size_t i = 0; i < found.size(); i++) {
        const double off = std::abs(static_cast<double>(found[i]) - static_cast<double>(expected[i]));
        largest = off <= largest ? largest : (std::isnan(off) ? INFINITY : off);
    }
    return largest;
}

// The largest difference of any golden sample.
double difference(const Bundle& bundle, const Json& artifact, const Options& options) {
    const pocketfit::Request request = request_for(bundle, artifact, options);
    std::unique_ptr<pocketfit::Net> net = pocketfit::open_net(artifact.at("runtime").string(), request);
    check_inputs(artifact);
    const Json& golden = bundle.manifest().at("golden");
    const std::vector<float> inputs = floats(bundle, golden.at("inputs"));
    const std::vector<float> expected = floats(bundle, golden.at("expected").at(artifact.at("golden").string()));
    std::vector<const float*> given(request.shapes.size());
    std::vector<size_t> bytes(request.shapes.size());
    double largest = 0;
    size_t read = 0, compared = 0;
    for (int64_t sample = 0; sample < golden.at("samples").integer(); sample++) {
        for (size_t i = 0; i < request.shapes.size(); i++) {
            const size_t count = pocketfit::volume(request.shapes[i]);
            if (read + count > inputs.size()) throw pocketfit::Error("the golden inputs have another shape");
            given[i] = &inputs[read];
            bytes[i] = count * sizeof(float);
            read += count;
        }
        net->run(given, bytes);
        for (size_t i = 0; i < request.outputs.size(); i++) {
            const std::vector<float>& found = net->output(i);
            if (compared + found.size() > expected.size()) throw pocketfit::Error("it answers more than is expected");
            largest = std::max(largest, distance(found, &expected[compared]));
            compared += found.size();
        }
    }
    if (compared != expected.size()) throw pocketfit::Error("it answers less than is expected");
    return largest;
}

void replay(const Bundle& bundle, const Options& options, Count& count) {
    for (const Json& artifact : bundle.manifest().at("artifacts").items()) {
        const std::string name = (bundle.name().empty() ? "" : bundle.name() + " ") + artifact.at("runtime").string() +
                                 " " + artifact.at("precision").string() + ": ";
        // Said once it is known: some runtimes print lines of their own.
        try {
            const double off = difference(bundle, artifact, options), allowed = artifact.at("tolerance").number();
            std::cout << name << "off by " << off << ", allowed " << allowed << (off <= allowed ? "" : ": DIFFERS")
                      << "\n";
            (off <= allowed ? count.passed : count.failed)++;
        } catch (const pocketfit::MissingRuntime& missing) {
            std::cout << name << "not run, " << missing.what() << "\n";
        } catch (const std::exception& error) {
            std::cout << name << "FAILED, " << error.what() << "\n";
            count.failed++;
        }
    }
}

Options options_of(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; i++) {
        const std::string name = arguments[i];
        const bool known = name == "--threads" || name == "--public-key" || name == "--model-key";
        if (!known) {
            options.bundle = name;
            continue;
        }
        if (++i == count) throw pocketfit::Error(name + " needs a value");
        if (name == "--threads") options.threads = std::stoi(arguments[i]);
        if (name == "--public-key") options.trust.public_key = pocketfit::key_of(arguments[i]);
        if (name == "--model-key") options.model_key = pocketfit::key_of(arguments[i]);
    }
    if (options.bundle.empty() || options.threads < 1)
        throw pocketfit::Error("write: golden [--threads N] [--public-key HEX] [--model-key HEX] BUNDLE");
    return options;
}

}  // namespace

int main(int argc, char** arguments) {
    Count count;
    try {
        const Options options = options_of(argc, arguments);
        const Bundle bundle = Bundle::open(options.bundle, options.trust);
        replay(bundle, options, count);
        for (const Bundle& other : bundle.others()) replay(other, options, count);
    } catch (const std::exception& error) {
        std::cerr << "golden: " << error.what() << "\n";
        return 2;
    }
    if (count.failed > 0) return 4;
    if (count.passed == 0) std::cerr << "golden: nothing could be run\n";
    return count.passed > 0 ? 0 : 2;
}
