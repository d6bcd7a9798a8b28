package pocketfit.selftest;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import pocketfit.Bundle;
import pocketfit.FaceAligner;
import pocketfit.Gallery;
import pocketfit.Json;
import pocketfit.PocketfitException;

/** Enrolments and searches, and faces cut out, one case a line. */
final class MatchingVectors {
    private final Json test;
    private final float[] embeddings;
    private Gallery gallery;

    private MatchingVectors(Json test) {
        this.test = test;
        gallery = empty();
        byte[] bytes = Base64.getDecoder().decode(test.at("embeddings").string());
        embeddings = new float[bytes.length / 4];
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(embeddings);
    }

    static boolean isAboutMatching(File file) throws IOException {
        try (BufferedReader lines = open(file)) {
            String line = lines.readLine();
            return line != null && Json.parse(line).has("gallery");
        }
    }

    static List<Suite> replay(File file) throws IOException {
        Suite galleries = new Suite("gallery");
        Suite faces = new Suite("align");
        try (BufferedReader lines = open(file)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                Json test = Json.parse(line);
                if (test.has("landmarks")) {
                    faces.count(replayFace(test), test.at("name").string());
                } else {
                    galleries.count(new MatchingVectors(test).replay(), test.at("name").string());
                }
            }
        }
        return Arrays.asList(galleries, faces);
    }

    private static boolean replayFace(Json test) {
        List<Json> shape = test.at("noise").at("shape").items();
        double[] points = new double[test.at("landmarks").items().size()];
        for (int i = 0; i < points.length; i++) {
            points[i] = test.at("landmarks").items().get(i).number();
        }
        Json found = test.at("found");
        try {
            byte[] image = Vectors.noise(test.at("noise"));
            MessageDigest hash = Bundle.sha256();
            hash.update(new FaceAligner().align(image, shape.get(0).small(), shape.get(1).small(), points));
            return !found.isNull() && Bundle.hex(hash).equals(found.string());
        } catch (PocketfitException refused) {
            return found.isNull();
        }
    }

    private static BufferedReader open(File file) throws IOException {
        return new BufferedReader(new InputStreamReader(new FileInputStream(file), StandardCharsets.UTF_8));
    }

    private Gallery empty() {
        Json told = test.at("gallery");
        return new Gallery(told.at("model").string(), told.at("length").small(), told.at("threshold").number());
    }

    private boolean replay() {
        List<Json> steps = test.at("steps").items();
        for (int i = 0; i < steps.size(); i++) {
            if (!same(steps.get(i), test.at("found").items().get(i))) {
                return false;
            }
        }
        return true;
    }

    /** Refused exactly where null is found. */
    private boolean same(Json step, Json found) {
        try {
            return follow(step, found);
        } catch (PocketfitException refused) {
            return found.isNull();
        }
    }

    private boolean follow(Json step, Json found) {
        String name = step.at("name").string();
        List<Json> rows = step.at("rows").items();
        switch (step.at("do").string()) {
            case "enrol":
                float[][] chosen = new float[rows.size()][];
                for (int i = 0; i < chosen.length; i++) {
                    chosen[i] = row(rows.get(i));
                }
                double lowest = gallery.enrol(name, chosen);
                return !found.isNull() && lowest == found.number();
            case "remove":
                gallery.remove(name);
                return !found.isNull();
            case "reload":
                return reload(found);
            case "search":
                gallery.search(row(rows.get(0)), step.at("most").small());
                return !found.isNull() && sameMatches(found.items());
            default:
                double score = gallery.score(name, row(rows.get(0)));
                return !found.isNull() && score == found.items().get(0).number()
                        && gallery.verify(name, row(rows.get(0))) == found.items().get(1).bool();
        }
    }

    private boolean sameMatches(List<Json> found) {
        boolean same = gallery.count == found.size();
        for (int i = 0; same && i < found.size(); i++) {
            List<Json> one = found.get(i).items();
            same = gallery.name(gallery.person[i]).equals(one.get(0).string())
                    && gallery.score[i] == one.get(1).number();
        }
        return same;
    }

    /** Goes on with what was read; one that is cut off, or of another model, is refused. */
    private boolean reload(Json found) {
        byte[] bytes = gallery.toBytes();
        MessageDigest hash = Bundle.sha256();
        hash.update(bytes);
        Gallery read = empty();
        boolean refused = refuses(read, Arrays.copyOf(bytes, bytes.length - 1))
                && refuses(read, Arrays.copyOf(bytes, bytes.length + 1))
                && refuses(new Gallery("another", gallery.length(), gallery.threshold()), bytes);
        read.fromBytes(bytes);
        gallery = read;
        return refused && !found.isNull() && Bundle.hex(hash).equals(found.string());
    }

    private static boolean refuses(Gallery gallery, byte[] bytes) {
        try {
            gallery.fromBytes(bytes);
        } catch (PocketfitException refused) {
            return gallery.size() == 0;
        }
        return false;
    }

    private float[] row(Json number) {
        int from = number.small() * gallery.length();
        return Arrays.copyOfRange(embeddings, from, from + gallery.length());
    }
}
