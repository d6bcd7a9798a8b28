package pocketfit.selftest;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import pocketfit.Bundle;
import pocketfit.Contract;
import pocketfit.Image;
import pocketfit.Json;
import pocketfit.Preprocessor;

/** The preprocess_vectors.json of a bundle. */
final class BundleVectors {
    private BundleVectors() {}

    static List<Suite> replay(Bundle bundle) throws IOException {
        if (!bundle.has("preprocess_vectors")) {
            return Collections.emptyList();
        }
        Suite inputs = new Suite("bundle preprocessing");
        Suite answers = new Suite("bundle postprocessing");
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
