package pocketfit.selftest;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import pocketfit.Bundle;
import pocketfit.Contract;
import pocketfit.Image;
import pocketfit.Json;
import pocketfit.Policy;
import pocketfit.Preprocessor;

/** The preprocess_vectors.json of a bundle and its variants, and their models. */
final class BundleVectors {
    private BundleVectors() {}

    static List<Suite> replay(Bundle bundle, boolean hasModelKey) throws IOException {
        List<Suite> suites = new ArrayList<>(replay(bundle, "", hasModelKey));
        if (bundle.has("policy")) {
            suites.add(replayPolicy(bundle));
        }
        for (Map.Entry<String, Bundle> other : bundle.others().entrySet()) {
            suites.addAll(replay(other.getValue(), " of " + other.getKey(), hasModelKey));
        }
        return suites;
    }

    private static List<Suite> replay(Bundle bundle, String whose, boolean hasModelKey) throws IOException {
        List<Suite> suites = new ArrayList<>(replayContract(bundle, whose));
        if (hasModelKey || !bundle.isEncrypted()) {
            suites.add(replayModels(bundle, whose));
        }
        if (bundle.has("thresholds")) {
            suites.add(replayThresholds(bundle, whose));
        }
        return suites;
    }

    /** Each threshold is found by its artifact, and a gallery holds it. */
    private static Suite replayThresholds(Bundle bundle, String whose) throws IOException {
        Suite suite = new Suite("bundle thresholds" + whose);
        Json thresholds = Json.parse(bundle.read("thresholds"));
        boolean cosine = thresholds.at("score").string().equals("cosine");
        for (Json one : thresholds.at("artifacts").items()) {
            String runtime = one.at("runtime").string();
            String precision = one.at("precision").string();
            double told = one.at("threshold").number();
            boolean same = bundle.threshold(runtime, precision) == told
                    && (!cosine || bundle.gallery(runtime, precision).threshold() == told);
            suite.count(same && !bundle.files(runtime, precision).isEmpty(), runtime + " " + precision);
        }
        return suite;
    }

    /** Every file of every artifact, opened as an app does. */
    private static Suite replayModels(Bundle bundle, String whose) throws IOException {
        Suite models = new Suite("bundle models" + whose);
        for (Json artifact : bundle.manifest().at("artifacts").items()) {
            Map<String, byte[]> files = bundle.load(artifact.at("runtime").string(), artifact.at("precision").string());
            for (Map.Entry<String, byte[]> file : files.entrySet()) {
                models.count(file.getValue().length > 0, file.getKey());
            }
        }
        return models;
    }

    /** Every variant of the policy has an artifact in the bundle's folder that it names. */
    private static Suite replayPolicy(Bundle bundle) throws IOException {
        Suite variants = new Suite("bundle policy");
        for (Policy.Variant variant : bundle.policy().variants) {
            boolean found = false;
            for (Policy.ArtifactRef one : variant.artifacts) {
                Bundle where = bundle.find(one);
                boolean isItsName = where != null && (where.name().isEmpty() || bundle.variant(where.name()) == where);
                found |= isItsName && !where.files(one.runtime, one.precision).isEmpty();
            }
            variants.count(found, variant.name);
        }
        return variants;
    }

    private static List<Suite> replayContract(Bundle bundle, String whose) throws IOException {
        if (!bundle.has("preprocess_vectors")) {
            return Collections.emptyList();
        }
        Suite inputs = new Suite("bundle preprocessing" + whose);
        Suite answers = new Suite("bundle postprocessing" + whose);
        Json vectors = Json.parse(bundle.read("preprocess_vectors"));
        Contract contract = bundle.contract();
        Preprocessor preprocessor = new Preprocessor(contract);
        for (Json input : vectors.at("inputs").items()) {
            inputs.count(replayInput(input, preprocessor), "input " + inputs.total);
        }
        for (Json answer : vectors.at("answers").items()) {
            answers.count(replayAnswer(answer, contract), "answer " + answers.total);
        }
        return Arrays.asList(inputs, answers);
    }

    private static boolean replayInput(Json input, Preprocessor preprocessor) {
        byte[] bytes = Vectors.noise(input.at("noise"));
        Image image = Vectors.image(
                bytes, input.at("height").small(), input.at("width").small(), 0, preprocessor.contract().input);
        ByteBuffer tensor = preprocessor.run(image, input.at("orientation").small());
        return sameHash(ByteBuffer.wrap(preprocessor.pixels()), input.at("pixels"))
                && sameHash(tensor.duplicate(), input.at("expected"));
    }

    private static boolean sameHash(ByteBuffer bytes, Json expected) {
        MessageDigest digest = Bundle.sha256();
        digest.update(bytes);
        return Bundle.hex(digest).equals(expected.at("sha256").string());
    }

    private static boolean replayAnswer(Json answer, Contract contract) {
        boolean boxes = contract.output == Contract.Output.BOXES;
        List<Json> outputs = answer.at("outputs").items();
        float[] second = boxes ? output(outputs.get(1), true) : null;
        Json image = boxes ? answer.at("image") : null;
        return Vectors.sameAnswer(contract, output(outputs.get(0), boxes), second, image, answer.at("expected"));
    }

    /** Noise brought to -4..4; to 0..1 for a detector's outputs. */
    private static float[] output(Json told, boolean boxes) {
        byte[] bytes = Vectors.noise(told);
        float[] values = new float[bytes.length];
        for (int i = 0; i < values.length; i++) {
            int one = bytes[i] & 255;
            values[i] = boxes ? one / 255.0f : (one - 128) / 32.0f;
        }
        return values;
    }
}
