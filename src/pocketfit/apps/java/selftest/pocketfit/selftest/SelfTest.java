package pocketfit.selftest;

import java.io.File;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import pocketfit.Bundle;
import pocketfit.Json;
import pocketfit.PocketfitException;

/**
 * Replays test vectors: each argument is a bundle's folder, a .jsonl of policies or cameras, or the .json of a step.
 *
 * <p>Prints one JSON object a suite; the exit code is 1 where anything differs, and 2 where something cannot be read.
 */
public final class SelfTest {
    private SelfTest() {}

    public static void main(String[] arguments) {
        boolean good = true;
        try {
            for (String path : arguments) {
                for (Suite suite : replay(new File(path))) {
                    System.out.println(suite);
                    good &= suite.passed == suite.total;
                }
            }
        } catch (IOException | PocketfitException error) {
            System.err.println("selftest: " + error.getMessage());
            System.exit(2);
        }
        System.exit(good ? 0 : 1);
    }

    private static List<Suite> replay(File path) throws IOException {
        if (path.isDirectory()) {
            return BundleVectors.replay(Bundle.open(path));
        }
        if (path.getName().endsWith(".jsonl")) {
            if (FrameVectors.isAboutFrames(path)) {
                return FrameVectors.replay(path);
            }
            return Collections.singletonList(PolicyVectors.replay(path));
        }
        return Collections.singletonList(StepVectors.replay(Json.parse(Bundle.text(path))));
    }
}
