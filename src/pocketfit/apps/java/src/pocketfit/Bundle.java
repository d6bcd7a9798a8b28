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
import java.util.List;
import java.util.Map;

/** The folder that {@code pocketfit fit} wrote, trusted with nothing before it is checked. */
public final class Bundle {
    private final File folder;
    private final Json manifest;

    private Bundle(File folder, Json manifest) {
        this.folder = folder;
        this.manifest = manifest;
    }

    /** Checks the manifest and every file that it lists. */
    public static Bundle open(File folder) throws IOException {
        Json manifest = Json.parse(text(new File(folder, "manifest.json")));
        if (!manifest.has("format") || !manifest.at("format").string().equals("pocketfit-bundle")) {
            throw new PocketfitException(folder + " is not a bundle");
        }
        long schema = manifest.at("schema_version").integer();
        if (schema < 2 || schema > 4) {
            throw new PocketfitException("the bundle has schema " + schema + "; this code reads 2 to 4");
        }
        Bundle bundle = new Bundle(folder, manifest);
        for (Map.Entry<String, Json> file : manifest.at("files").members().entrySet()) {
            bundle.check(file.getKey(), file.getValue());
        }
        return bundle;
    }

    public Json manifest() {
        return manifest;
    }

    /** The files of one artifact; none where the bundle does not have it. Precisions are float32, float16 and int8. */
    public List<File> files(String runtime, String precision) {
        List<File> found = new ArrayList<>();
        for (Json artifact : manifest.at("artifacts").items()) {
            boolean meant = artifact.at("runtime").string().equals(runtime)
                    && artifact.at("precision").string().equals(precision);
            for (Json name : artifact.at("files").items()) {
                if (meant) {
                    found.add(inside(name.string()));
                }
            }
        }
        return found;
    }

    public boolean has(String part) {
        return manifest.has(part);
    }

    /** A part that the manifest names: preprocess, preprocess_vectors, labels, report. */
    public String read(String part) throws IOException {
        return text(inside(manifest.at(part).string()));
    }

    /** What is to be done to images and outputs. */
    public Contract contract() throws IOException {
        return Contract.fromJson(Json.parse(read("preprocess")));
    }

    /** A file of a model as memory that is read when it is looked at. */
    public static MappedByteBuffer map(File file) throws IOException {
        try (FileInputStream stream = new FileInputStream(file)) {
            return stream.getChannel().map(FileChannel.MapMode.READ_ONLY, 0, file.length());
        }
    }

    /** The text of a UTF-8 file. */
    public static String text(File file) throws IOException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        byte[] buffer = new byte[65_536];
        try (InputStream stream = new FileInputStream(file)) {
            for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
                content.write(buffer, 0, count);
            }
        }
        return new String(content.toByteArray(), StandardCharsets.UTF_8);
    }

    /** SHA-256 in hexadecimal. */
    public static String hex(MessageDigest digest) {
        StringBuilder text = new StringBuilder();
        for (byte one : digest.digest()) {
            text.append(Character.forDigit(one >> 4 & 15, 16)).append(Character.forDigit(one & 15, 16));
        }
        return text.toString();
    }

    public static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException("every Java has SHA-256", error);
        }
    }

    /** A name from the manifest as a file, which must not lead out of the bundle. */
    private File inside(String name) {
        boolean bad = name.isEmpty() || name.endsWith("/");
        for (String part : name.split("/", -1)) {
            bad |= part.isEmpty() || part.equals(".") || part.equals("..");
        }
        for (char sign : new char[] {'\\', ':', '\0', '\n'}) {
            bad |= name.indexOf(sign) >= 0;
        }
        if (bad) {
            throw new PocketfitException("the manifest names " + name + ", which leads out of the bundle");
        }
        return new File(folder, name);
    }

    private void check(String name, Json entry) throws IOException {
        File file = inside(name);
        if (!file.getCanonicalFile().equals(new File(folder.getCanonicalFile(), name))) {
            throw new PocketfitException(name + " is reached by a link; such a bundle is not read");
        }
        MessageDigest digest = sha256();
        byte[] buffer = new byte[65_536];
        try (InputStream stream = new FileInputStream(file)) {
            for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
                digest.update(buffer, 0, count);
            }
        }
        if (!hex(digest).equals(entry.at("sha256").string())) {
            throw new PocketfitException(name + " is not the file that was written");
        }
    }
}
