package pocketfit;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Who is enrolled, and who of them an embedding is like; every score is the reference's to the last bit.
 *
 * <p>One for each thread; searching allocates nothing.
 */
public final class Gallery {
    private static final byte[] MAGIC = "PFGALL01".getBytes(StandardCharsets.US_ASCII);

    /** Of a match: its place among {@link #names}. */
    public int[] person = {};
    /** Of a match: the cosine with the template. */
    public double[] score = {};
    /** How many matches the last search had, the best first. */
    public int count;

    private final String model;
    private final int length;
    private final double threshold;
    private final float[] unit;
    private final List<String> names = new ArrayList<>();
    private float[] templates = {};

    /**
     * An empty gallery; {@link Bundle#gallery} knows all three.
     *
     * @param model what makes the embeddings, which tell nothing to another one
     * @param length of an embedding
     * @param threshold a cosine above it is that of the same person
     */
    public Gallery(String model, int length, double threshold) {
        this.model = model;
        this.length = length;
        this.threshold = threshold;
        unit = new float[length];
    }

    public int size() {
        return names.size();
    }

    public int length() {
        return length;
    }

    public double threshold() {
        return threshold;
    }

    public String name(int which) {
        return names.get(which);
    }

    /**
     * Keeps the mean of somebody's embeddings, in the place of an older one of that name.
     *
     * @return the lowest cosine of an embedding with it: low where one of them is of somebody else
     */
    public double enrol(String name, float[]... embeddings) {
        if (name.isEmpty() || embeddings.length == 0) {
            throw new PocketfitException("somebody is enrolled with a name and at least one embedding");
        }
        double[] sums = new double[length];
        for (float[] embedding : embeddings) {
            normalise(embedding, unit);
            for (int i = 0; i < length; i++) {
                sums[i] += unit[i];
            }
        }
        float[] template = new float[length];
        for (int i = 0; i < length; i++) {
            template[i] = (float) (sums[i] / embeddings.length);
        }
        normalise(template, template);
        double lowest = 2;
        for (float[] embedding : embeddings) {
            normalise(embedding, unit);
            lowest = Math.min(lowest, dot(unit, template, 0));
        }
        keep(name, template);
        return lowest;
    }

    public void remove(String name) {
        int at = index(name);
        names.remove(at);
        System.arraycopy(templates, (at + 1) * length, templates, at * length, (names.size() - at) * length);
        templates = Arrays.copyOf(templates, names.size() * length);
    }

    /** The cosine of an embedding with somebody's template. */
    public double score(String name, float[] embedding) {
        int at = index(name);
        normalise(embedding, unit);
        return dot(unit, templates, at * length);
    }

    /** Whether an embedding is of that person (1:1). */
    public boolean verify(String name, float[] embedding) {
        return score(name, embedding) > threshold;
    }

    /**
     * Finds whom an embedding may be of (1:N), best first and of equal ones those enrolled first: count, person and
     * score; a count of 0 is a stranger.
     */
    public void search(float[] embedding, int most) {
        if (score.length != most) {
            person = new int[most];
            score = new double[most];
        }
        count = 0;
        normalise(embedding, unit);
        for (int which = 0; which < names.size(); which++) {
            insert(which, dot(unit, templates, which * length));
        }
    }

    /** What is written to a file; docs/matching.md says how. It is not encrypted. */
    public byte[] toBytes() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.write(MAGIC, 0, MAGIC.length);
        putWhole(bytes, length);
        putText(bytes, model);
        putWhole(bytes, names.size());
        for (int which = 0; which < names.size(); which++) {
            putText(bytes, names.get(which));
            for (int i = which * length; i < (which + 1) * length; i++) {
                putWhole(bytes, Float.floatToRawIntBits(templates[i]));
            }
        }
        return bytes.toByteArray();
    }

    /**
     * Enrols everybody that {@link #toBytes} wrote, in place of those who are there; a gallery of another model is
     * refused, and one that is refused changes nothing.
     */
    public void fromBytes(byte[] bytes) {
        Gallery read = new Gallery(model, length, threshold);
        try {
            read.fill(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
        } catch (BufferUnderflowException error) {
            throw new PocketfitException("the gallery is cut off");
        }
        names.clear();
        names.addAll(read.names);
        templates = read.templates;
    }

    /** All or nothing: a file that is there stays until the new one is complete. */
    public void save(File file) throws IOException {
        File partial = new File(file.getPath() + ".partial");
        try (OutputStream stream = new FileOutputStream(partial)) {
            stream.write(toBytes());
        }
        if (!partial.renameTo(file)) {
            throw new IOException(file + " cannot be written");
        }
    }

    public void load(File file) throws IOException {
        fromBytes(Bundle.bytes(file));
    }

    /** Number i goes to sum i mod 4, and a product of two floats is exact in a double. */
    private double dot(float[] one, float[] other, int from) {
        double first = 0;
        double second = 0;
        double third = 0;
        double fourth = 0;
        int whole = length - length % 4;
        for (int i = 0; i < whole; i += 4) {
            first += (double) one[i] * other[from + i];
            second += (double) one[i + 1] * other[from + i + 1];
            third += (double) one[i + 2] * other[from + i + 2];
            fourth += (double) one[i + 3] * other[from + i + 3];
        }
        first += whole < length ? (double) one[whole] * other[from + whole] : 0;
        second += whole + 1 < length ? (double) one[whole + 1] * other[from + whole + 1] : 0;
        third += whole + 2 < length ? (double) one[whole + 2] * other[from + whole + 2] : 0;
        return (first + second) + (third + fourth);
    }

    private void normalise(float[] embedding, float[] into) {
        if (embedding.length != length) {
            throw new PocketfitException("the embedding has " + embedding.length + " numbers, not " + length);
        }
        double norm = Math.sqrt(dot(embedding, embedding, 0));
        if (Double.isNaN(norm) || Double.isInfinite(norm) || norm == 0) {
            throw new PocketfitException("an embedding is all zeros, or holds a number that is not finite");
        }
        for (int i = 0; i < length; i++) {
            into[i] = (float) (embedding[i] / norm);
        }
    }

    /** Into the best so far, behind those that are as good. */
    private void insert(int which, double value) {
        boolean full = count == score.length;
        if (!(value > threshold) || score.length == 0 || full && value <= score[count - 1]) {
            return;
        }
        int at = full ? count - 1 : count++;
        while (at > 0 && score[at - 1] < value) {
            score[at] = score[at - 1];
            person[at] = person[at - 1];
            at--;
        }
        score[at] = value;
        person[at] = which;
    }

    private void keep(String name, float[] template) {
        int at = names.indexOf(name);
        if (at < 0) {
            at = names.size();
            names.add(name);
            templates = Arrays.copyOf(templates, names.size() * length);
        }
        System.arraycopy(template, 0, templates, at * length, length);
    }

    private int index(String name) {
        int at = names.indexOf(name);
        if (at < 0) {
            throw new PocketfitException("nobody is enrolled as " + name);
        }
        return at;
    }

    private void fill(ByteBuffer bytes) {
        byte[] magic = new byte[MAGIC.length];
        bytes.get(magic);
        if (!Arrays.equals(magic, MAGIC)) {
            throw new PocketfitException("the file is no gallery");
        }
        if (bytes.getInt() != length || !takeText(bytes).equals(model)) {
            throw new PocketfitException("the gallery is of another model; enrol everybody again");
        }
        float[] template = new float[length];
        for (int left = bytes.getInt(); left != 0; left--) {
            String name = takeText(bytes);
            if (name.isEmpty() || names.contains(name)) {
                throw new PocketfitException("the gallery is damaged: a name is missing or there twice");
            }
            for (int i = 0; i < length; i++) {
                template[i] = bytes.getFloat();
                if (Float.isNaN(template[i]) || Float.isInfinite(template[i])) {
                    throw new PocketfitException("the gallery is damaged: a number is not finite");
                }
            }
            keep(name, template);
        }
        if (bytes.hasRemaining()) {
            throw new PocketfitException("the gallery is damaged: it goes on behind its end");
        }
    }

    private static void putWhole(ByteArrayOutputStream bytes, int number) {
        for (int shift = 0; shift < 32; shift += 8) {
            bytes.write(number >> shift);
        }
    }

    private static void putText(ByteArrayOutputStream bytes, String text) {
        byte[] content = text.getBytes(StandardCharsets.UTF_8);
        putWhole(bytes, content.length);
        bytes.write(content, 0, content.length);
    }

    private static String takeText(ByteBuffer bytes) {
        int size = bytes.getInt();
        if (size < 0 || size > bytes.remaining()) {
            throw new PocketfitException("the gallery is cut off");
        }
        byte[] content = new byte[size];
        bytes.get(content);
        return new String(content, StandardCharsets.UTF_8);
    }
}
