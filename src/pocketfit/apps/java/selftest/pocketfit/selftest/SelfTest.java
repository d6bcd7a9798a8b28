package pocketfit.selftest;

import java.io.File;
import java.io.IOException;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import pocketfit.Archive;
import pocketfit.Bundle;
import pocketfit.Json;
import pocketfit.PocketfitException;
import pocketfit.Trust;

/**
 * Replays test vectors: {@code [--public-key HEX] [--least-release N] [--model-key HEX] PATH ...}, each path a bundle's
 * folder, its .zip, which is unpacked beside it, a .jsonl of policies, cameras or galleries, or the .json of a step.
 * What is demanded of bundles comes first.
 *
 * <p>Prints one JSON object a suite; the exit code is 1 where anything differs, and 2 where something cannot be read.
 */
public final class SelfTest {
    private SelfTest() {}

    public static void main(String[] arguments) {
        boolean good = true;
        try {
            int first = optionsEnd(arguments);
            byte[] modelKey = key(option(arguments, first, "--model-key"));
            String release = option(arguments, first, "--least-release");
            Trust trust = new Trust(key(option(arguments, first, "--public-key")),
                    release == null ? 0 : Long.parseLong(release), modelKey);
            for (String path : Arrays.copyOfRange(arguments, first, arguments.length)) {
                for (Suite suite : replay(new File(path), trust, modelKey != null)) {
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

    /** Where the paths begin. */
    private static int optionsEnd(String[] arguments) {
        int at = 0;
        while (at + 1 < arguments.length && arguments[at].startsWith("--")) {
            at += 2;
        }
        return at;
    }

    private static String option(String[] arguments, int end, String name) {
        for (int i = 0; i < end; i += 2) {
            if (arguments[i].equals(name)) {
                return arguments[i + 1];
            }
        }
        return null;
    }

    private static byte[] key(String digits) {
        return digits == null ? null : Trust.key(digits);
    }

    /** Replays an opened bundle, its models left out. */
    public static List<Suite> replay(Bundle bundle) throws IOException {
        return BundleVectors.replay(bundle, false);
    }

    private static List<Suite> replay(File path, Trust trust, boolean hasModelKey) throws IOException {
        if (path.isDirectory()) {
            return BundleVectors.replay(Bundle.open(path, trust), hasModelKey);
        }
        if (path.getName().endsWith(".zip")) {
            return BundleVectors.replay(
                    Archive.unpack(path, new File(path.getPath() + ".unpacked"), trust), hasModelKey);
        }
        if (path.getName().endsWith(".jsonl")) {
            if (FrameVectors.isAboutFrames(path)) {
                return FrameVectors.replay(path);
            }
            if (MatchingVectors.isAboutMatching(path)) {
                return MatchingVectors.replay(path);
            }
            return Collections.singletonList(PolicyVectors.replay(path));
        }
        return Collections.singletonList(StepVectors.replay(Json.parse(Bundle.text(path))));
    }
}
