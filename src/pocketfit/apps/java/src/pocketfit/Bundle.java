package pocketfit;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The folder that {@code pocketfit fit} wrote, trusted with nothing before it is checked. */
public final class Bundle {
    private static final String HERE = ".";

    private final File folder;
    /** Relative to the bundle that has the policy. */
    private final String place;
    private final Json manifest;
    private final byte[] modelKey;
    private final Map<String, Bundle> others = new LinkedHashMap<>();
    private String name = "";

    private Bundle(File folder, String place, Json manifest, byte[] modelKey) {
        this.folder = folder;
        this.place = place;
        this.manifest = manifest;
        this.modelKey = modelKey;
        if (!manifest.has("format") || !manifest.at("format").string().equals("pocketfit-bundle")) {
            throw new PocketfitException(folder + " is not a bundle");
        }
        long schema = manifest.at("schema_version").integer();
        if (schema < 2 || schema > 4) {
            throw new PocketfitException("the bundle has schema " + schema + "; this code reads 2 to 4");
        }
    }

    /** Checks the manifest and every file that it lists. */
    public static Bundle open(File folder) throws IOException {
        return open(folder, Trust.NONE);
    }

    /** Checks the signature, the release, the manifest and every file that it lists, those of all variants. */
    public static Bundle open(File folder, Trust trust) throws IOException {
        byte[] text = bytes(new File(folder, "manifest.json"));
        trust.checkSignature(folder, text);
        Json manifest = Json.parse(new String(text, StandardCharsets.UTF_8));
        Bundle bundle = new Bundle(folder, HERE, manifest, trust.modelKey);
        trust.checkRelease(bundle.release());
        for (Map.Entry<String, Json> file : manifest.at("files").members().entrySet()) {
            bundle.check(file.getKey(), file.getValue());
        }
        bundle.addVariants();
        if (bundle.has("policy")) {
            bundle.checkPolicy(bundle.policy());
        }
        return bundle;
    }

    public Json manifest() {
        return manifest;
    }

    /** Its own name among several variants; empty where there is only one. */
    public String name() {
        return name;
    }

    /** The variants behind the first, by name. */
    public Map<String, Bundle> others() {
        return Collections.unmodifiableMap(others);
    }

    /** The variant of that name. */
    public Bundle variant(String wanted) {
        Bundle found = wanted.equals(name) ? this : others.get(wanted);
        if (found == null) {
            throw new PocketfitException("the bundle has no variant " + wanted);
        }
        return found;
    }

    /** Where an artifact lies that a policy names; null where the bundle has no such variant. */
    public Bundle find(Policy.ArtifactRef artifact) {
        return at(artifact.bundle);
    }

    /** The same, where there has to be one. */
    public Bundle of(Policy.ArtifactRef artifact) {
        Bundle found = find(artifact);
        if (found == null) {
            throw new PocketfitException("the bundle has no variant in " + artifact.bundle);
        }
        return found;
    }

    /** Which artifact runs when, of all variants; has("policy") says whether there is one. */
    public Policy policy() throws IOException {
        return Policy.fromJson(Json.parse(read("policy")));
    }

    public boolean isEncrypted() {
        return manifest.has("encryption");
    }

    public long release() {
        return manifest.has("release") ? manifest.at("release").integer() : 0;
    }

    /** The files of one artifact; none where the bundle does not have it. Precisions are float32, float16 and int8. */
    public List<File> files(String runtime, String precision) {
        List<File> found = new ArrayList<>();
        for (String file : names(runtime, precision)) {
            found.add(inside(file));
        }
        return found;
    }

    /**
     * The same files in memory, checked and decrypted, by name; what is named by a folder is not among them.
     *
     * @throws PocketfitException one is encrypted, and the bundle was opened without its key or with another one
     */
    public Map<String, byte[]> load(String runtime, String precision) throws IOException {
        Map<String, byte[]> found = new LinkedHashMap<>();
        for (String file : names(runtime, precision)) {
            Json entry = manifest.at("files").members().get(file);
            if (entry != null) {
                found.put(file, loaded(file, entry));
            }
        }
        return found;
    }

    public boolean has(String part) {
        return manifest.has(part);
    }

    /**
     * A part that the manifest names: preprocess, preprocess_vectors, labels, policy, thresholds, report.
     *
     * <p>It is checked once more, for it may have been changed since the bundle was opened.
     */
    public String read(String part) throws IOException {
        return new String(content(manifest.at(part).string()), StandardCharsets.UTF_8);
    }

    /** A file that the manifest lists, as it lies there; it is checked once more, too. */
    public byte[] content(String file) throws IOException {
        return checkedBytes(file, manifest.at("files").at(file));
    }

    /** What is to be done to images and outputs. */
    public Contract contract() throws IOException {
        return Contract.fromJson(Json.parse(read("preprocess")));
    }

    /**
     * From which score on an artifact accepts, as {@code pocketfit bundle threshold} chose it; has("thresholds") says
     * whether there are any. Of a liveness gate it is a probability.
     */
    public double threshold(String runtime, String precision) throws IOException {
        Json thresholds = Json.parse(read("thresholds"));
        if (thresholds.at("version").integer() != 1) {
            throw new PocketfitException("the thresholds have another version than 1");
        }
        for (Json one : thresholds.at("artifacts").items()) {
            if (one.at("runtime").string().equals(runtime) && one.at("precision").string().equals(precision)) {
                return one.at("threshold").number();
            }
        }
        throw new PocketfitException("the bundle has no threshold of " + runtime + " " + precision);
    }

    /** An empty gallery for the embeddings of an artifact, with its threshold. */
    public Gallery gallery(String runtime, String precision) throws IOException {
        Json thresholds = Json.parse(read("thresholds"));
        if (!thresholds.at("score").string().equals("cosine")) {
            throw new PocketfitException("the bundle's thresholds are not those of cosines");
        }
        String model = manifest.at("model").at("fingerprint").string() + " " + runtime + " " + precision;
        return new Gallery(model, thresholds.at("length").small(), threshold(runtime, precision));
    }

    /** A file of a model as memory that is read when it is looked at. */
    public static MappedByteBuffer map(File file) throws IOException {
        try (FileInputStream stream = new FileInputStream(file)) {
            return stream.getChannel().map(FileChannel.MapMode.READ_ONLY, 0, file.length());
        }
    }

    /** The text of a UTF-8 file. */
    public static String text(File file) throws IOException {
        return new String(bytes(file), StandardCharsets.UTF_8);
    }

    static byte[] bytes(File file) throws IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream((int) file.length());
        byte[] buffer = new byte[65_536];
        try (InputStream stream = new FileInputStream(file)) {
            for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
                content.write(buffer, 0, count);
            }
        }
        return content.toByteArray();
    }

    /** In hexadecimal. */
    public static String hex(MessageDigest digest) {
        StringBuilder text = new StringBuilder();
        for (byte one : digest.digest()) {
            text.append(Character.forDigit(one >> 4 & 15, 16)).append(Character.forDigit(one & 15, 16));
        }
        return text.toString();
    }

    public static MessageDigest sha256() {
        return digest("SHA-256");
    }

    static MessageDigest digest(String algorithm) {
        try {
            return MessageDigest.getInstance(algorithm);
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException("every Java has " + algorithm, error);
        }
    }

    private void addVariants() throws IOException {
        Map<String, Json> variants =
                has("variants") ? manifest.at("variants").members() : Collections.<String, Json>emptyMap();
        for (Map.Entry<String, Json> variant : variants.entrySet()) {
            if (variant.getValue().string().equals(HERE)) {
                name = variant.getKey();
            } else {
                addVariant(variant.getKey(), variant.getValue().string());
            }
        }
        if (!others.isEmpty() && name.isEmpty()) {
            throw new PocketfitException("none of the variants is the bundle itself");
        }
    }

    /** Its files were checked as the bundle's own; its manifest has to say the same of them. */
    private void addVariant(String wanted, String where) throws IOException {
        File below = inside(where);
        Map<String, Json> known = manifest.at("files").members();
        String own = where + "/manifest.json";
        if (!known.containsKey(own)) {
            throw new PocketfitException("the variant " + wanted + " has no manifest");
        }
        String text = new String(checkedBytes(own, known.get(own)), StandardCharsets.UTF_8);
        Bundle variant = new Bundle(below, where, Json.parse(text), modelKey);
        for (Map.Entry<String, Json> file : variant.manifest.at("files").members().entrySet()) {
            variant.inside(file.getKey());
            Json entry = known.get(where + "/" + file.getKey());
            if (entry == null || !entry.at("sha256").string().equals(file.getValue().at("sha256").string())) {
                throw new PocketfitException(
                        where + "/" + file.getKey() + " is another file to the variant's manifest");
            }
        }
        variant.name = wanted;
        others.put(wanted, variant);
    }

    private void checkPolicy(Policy policy) {
        for (Policy.Variant variant : policy.variants) {
            boolean there = false;
            for (Policy.ArtifactRef one : variant.artifacts) {
                Bundle where = at(one.bundle);
                there |= where != null && !where.names(one.runtime, one.precision).isEmpty();
            }
            if (!there) {
                throw new PocketfitException(
                        "the policy's variant " + variant.name + " names no artifact of the bundle");
            }
        }
    }

    private Bundle at(String wanted) {
        for (Bundle one : others.values()) {
            if (one.place.equals(wanted)) {
                return one;
            }
        }
        return wanted.equals(place) ? this : null;
    }

    private List<String> names(String runtime, String precision) {
        List<String> found = new ArrayList<>();
        for (Json artifact : manifest.at("artifacts").items()) {
            boolean meant = artifact.at("runtime").string().equals(runtime)
                    && artifact.at("precision").string().equals(precision);
            for (Json file : artifact.at("files").items()) {
                if (meant) {
                    found.add(file.string());
                }
            }
        }
        return found;
    }

    private byte[] loaded(String file, Json entry) throws IOException {
        byte[] content = checkedBytes(file, entry);
        return isEncrypted() ? new Encryption(manifest.at("encryption"), modelKey).opened(file, content) : content;
    }

    private byte[] checkedBytes(String file, Json entry) throws IOException {
        byte[] content = bytes(inside(file));
        MessageDigest digest = sha256();
        digest.update(content);
        checkHash(file, digest, entry);
        return content;
    }

    /** Whether a name with / between its parts stays in the folder that it is relative to, on any system. */
    static boolean staysInside(String file) {
        boolean bad = file.isEmpty() || file.endsWith("/");
        for (String part : file.split("/", -1)) {
            bad |= part.isEmpty() || part.equals(".") || part.equals("..");
        }
        for (char sign : new char[] {'\\', ':', '\0', '\n'}) {
            bad |= file.indexOf(sign) >= 0;
        }
        return !bad;
    }

    /** A name from the manifest as a file, which must not lead out of the bundle. */
    private File inside(String file) {
        if (!staysInside(file)) {
            throw new PocketfitException("the manifest names " + file + ", which leads out of the bundle");
        }
        return new File(folder, file);
    }

    private void check(String file, Json entry) throws IOException {
        File path = inside(file);
        if (!path.getCanonicalFile().equals(new File(folder.getCanonicalFile(), file))) {
            throw new PocketfitException(file + " is reached by a link; such a bundle is not read");
        }
        MessageDigest digest = sha256();
        byte[] buffer = new byte[65_536];
        try (InputStream stream = new FileInputStream(path)) {
            for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
                digest.update(buffer, 0, count);
            }
        }
        checkHash(file, digest, entry);
    }

    private static void checkHash(String file, MessageDigest digest, Json entry) {
        if (!hex(digest).equals(entry.at("sha256").string())) {
            throw new PocketfitException(file + " is not the file that was written");
        }
    }
}
